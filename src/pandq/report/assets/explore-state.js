// What the page shows: formulas, the state that lives in the address, and how a number is told.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const given = JSON.parse($("document").textContent);
const MOST = 12, STEPS = 100, RATE = 0.5, TINY = 1e-9;

// ---- formulas, in nats; 0 log 0 = 0 ---------------------------------------------------------
const sum = (x) => x.reduce((a, b) => a + b, 0);
const term = (p, q) => (p === 0 ? 0 : q === 0 ? Infinity : p * Math.log(p / q));
const entropy = (p) => -sum(p.map((x) => (x === 0 ? 0 : x * Math.log(x))));
const kl = (p, q) => Math.max(0, sum(p.map((x, k) => term(x, q[k]))));
const cross = (p, q) => entropy(p) + kl(p, q);
const js = (p, q) => {
  const m = p.map((x, k) => (x + q[k]) / 2);
  return (kl(p, m) + kl(q, m)) / 2;
};
const softmax = (z) => {
  const top = Math.max(...z), e = z.map((x) => Math.exp(x - top)), all = sum(e);
  return e.map((x) => x / all);
};

// ---- state ------------------------------------------------------------------------------------
const state = { p: [0.5, 0.3, 0.2], q: [0.2, 0.2, 0.6], names: ["dog", "cat", "fox"], unit: "nat", objective: "kl",
  step: 0, hump: [-3, 0.7, 3, 1, 0.5], fit: [0, 1.5] };

const shortest = (x) => String(+x.toPrecision(8));
const remember = () => {
  const text = new URLSearchParams({
    p: state.p.map(shortest).join(","), q: state.q.map(shortest).join(","),
    n: state.names.join(","), u: state.unit, o: state.objective, s: state.step,
    h: state.hump.map(shortest).join(","), f: state.fit.map(shortest).join(","),
  });
  history.replaceState(null, "", `#${text}`);
};
const law = (text) => {
  const x = (text ?? "").split(",").map(Number);
  const fine = x.length >= 2 && x.length <= MOST && x.every((v) => v >= 0) && sum(x) > 0;
  return fine ? x.map((v) => v / sum(x)) : null;
};
const recall = () => {
  const found = new URLSearchParams(location.hash.slice(1));
  const p = law(found.get("p")), q = law(found.get("q"));
  if (p && q && p.length === q.length) {
    state.p = p;
    state.q = q;
    const names = (found.get("n") ?? "").split(",");
    state.names = p.map((_, k) => names[k] || `class ${k + 1}`);
  }
  if (found.get("u") === "bit") state.unit = "bit";
  if (found.get("o") === "cross_entropy") state.objective = "cross_entropy";
  state.step = Math.min(Math.max(Number(found.get("s")) || 0, 0), STEPS);
  const numbers = (text, n) => {
    const x = (text ?? "").split(",").map(Number);
    return x.length === n && x.every(Number.isFinite) ? x : null;
  };
  state.hump = numbers(found.get("h"), 5) ?? state.hump;
  state.fit = numbers(found.get("f"), 2) ?? state.fit;
};

// ---- drawing ----------------------------------------------------------------------------------
const draw = (name, attributes, ...inside) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
};
const scale = () => (state.unit === "bit" ? 1 / Math.LN2 : 1);
const shown = (x) => (Number.isFinite(x) ? (x * scale()).toFixed(6) : "∞");
const percent = (x) => `${+(100 * x).toPrecision(3)} % of the time`;
const tell = (id, x) => {
  $(id).textContent = shown(x);
  $(id).dataset.nats = x;
};
