// Drag P and Q, and watch what their entropies and divergences do.
// ---- training: the gradient of both objectives in the logits is q - p --------------------------
let path = [];
const train = () => {
  const start = state.q.map((x) => Math.max(x, TINY)), all = sum(start);
  let z = start.map((x) => Math.log(x / all));
  path = [state.q];
  for (let t = 1; t <= STEPS; t++) {
    const q = softmax(z);
    z = z.map((x, k) => x - RATE * (q[k] - state.p[k]));
    path.push(softmax(z));
  }
};
const current = () => path[state.step];

// ---- the bars -----------------------------------------------------------------------------------
const W = 640, H = 260, LOW = 215, HIGH = 20;
const height = (x) => LOW - x * (LOW - HIGH);
const change = (which, k, value) => {
  const x = which === "p" ? state.p.slice() : current().slice();
  const v = Math.min(Math.max(value, 0), 1), rest = 1 - x[k];
  const others = x.map((y) => (rest > 1e-12 ? (y * (1 - v)) / rest : (1 - v) / (x.length - 1)));
  others[k] = v;
  if (which === "q") { state.q = others; state.step = 0; } else { state.p = others; }
  update();
};
const bars = $("bars");
const handles = new Map();
const build = () => {
  bars.replaceChildren();
  bars.classList.toggle("many", state.p.length > 4);
  handles.clear();
  const n = state.p.length, slot = (W - 40) / n, width = Math.min(slot * 0.36, 60);
  bars.append(draw("line", { x1: 30, x2: W, y1: LOW, y2: LOW, class: "axis" }));
  for (const level of [0.5, 1]) {
    bars.append(draw("line", { x1: 30, x2: W, y1: height(level), y2: height(level), class: "axis" }),
      draw("text", { x: 28, y: height(level) + 5, "text-anchor": "end", class: "faint" }, `${level}`));
  }
  state.p.forEach((_, k) => {
    const middle = 35 + slot * (k + 0.5);
    const name = state.names[k];
    const short = name.length > slot / 8 ? `${name.slice(0, Math.max(2, slot / 8 - 1))}…` : name;
    bars.append(draw("text", { x: middle, y: LOW + 18, "text-anchor": "middle" }, short));
    ["p", "q"].forEach((which, side) => {
      const x = middle + (side ? 2 : -2 - width);
      const fill = draw("rect", { x, width, y: LOW, height: 0, rx: 2, class: `${which}-fill frame` });
      const grip = draw("rect", { x: x + width / 4, width: width / 2, height: 5, rx: 2.5, class: "grip" });
      const reach = draw("rect", { x: x - 1, y: HIGH - 12, width: width + 2, height: LOW - HIGH + 12,
        fill: "transparent" });
      const value = draw("text", { x: x + width / 2, "text-anchor": "middle", class: "value" });
      const handle = draw("g", { class: "handle", tabindex: "0", role: "slider", "aria-valuemin": "0",
        "aria-valuemax": "1", "aria-label": `${which.toUpperCase()} of ${name}`, id: `${which}-${k}` },
        fill, value, grip, reach);
      bars.append(handle);
      handles.set(handle.id, { fill, grip, value, handle, which, k });
      handle.addEventListener("keydown", (event) => {
        const x = (which === "p" ? state.p : current())[k];
        const moves = { ArrowUp: x + 0.01, ArrowRight: x + 0.01, ArrowDown: x - 0.01,
          ArrowLeft: x - 0.01, PageUp: x + 0.1, PageDown: x - 0.1, Home: 0, End: 1 };
        if (!(event.key in moves)) return;
        event.preventDefault();
        change(which, k, moves[event.key]);
      });
      const follow = (event) => {
        const box = bars.getBoundingClientRect();
        const y = ((event.clientY - box.top) / box.height) * H;
        change(which, k, (LOW - y) / (LOW - HIGH));
      };
      handle.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        handle.focus();
        handle.setPointerCapture(event.pointerId);
        follow(event);
      });
      handle.addEventListener("pointermove", (event) => {
        if (handle.hasPointerCapture(event.pointerId)) follow(event);
      });
    });
  });
};
const move = () => {
  for (const { fill, grip, value, handle, which, k } of handles.values()) {
    const x = (which === "p" ? state.p : current())[k];
    fill.setAttribute("y", height(x));
    fill.setAttribute("height", LOW - height(x));
    grip.setAttribute("y", height(x) - 2.5);
    value.setAttribute("y", height(x) - 7);
    value.textContent = state.p.length > 6 ? "" : x.toFixed(2);
    handle.setAttribute("aria-valuenow", x.toFixed(4));
    handle.setAttribute("aria-valuetext", `${(100 * x).toFixed(1)} percent`);
    handle.dataset.value = x;
  }
};

// ---- where the divergence comes from -------------------------------------------------------------
const parts = $("parts");
const showParts = (p, q) => {
  const terms = p.map((x, k) => term(x, q[k]));
  const finite = terms.filter(Number.isFinite);
  const most = Math.max(1e-9, ...finite.map(Math.abs));
  const n = p.length, slot = (W - 40) / n, width = Math.min(slot * 0.6, 80), zero = 112, room = 84;
  parts.replaceChildren(draw("line", { x1: 30, x2: W, y1: zero, y2: zero, class: "axis" }));
  terms.forEach((x, k) => {
    const middle = 35 + slot * (k + 0.5), long = Number.isFinite(x) ? (room * Math.abs(x)) / most : room;
    parts.append(
      draw("rect", { x: middle - width / 2, width, height: long, y: x >= 0 ? zero - long : zero,
        class: x >= 0 ? "plus" : "minus" }),
      draw("text", { x: middle, "text-anchor": "middle", y: x >= 0 ? zero - long - 5 : zero + long + 14 },
        Number.isFinite(x) ? (x * scale()).toFixed(n > 6 ? 2 : 3) : "∞"));
  });
  const told = terms.map((x, k) => `${state.names[k]} ${shown(x)}`).join(", ");
  $("parts-desc").textContent = `p log p/q of each class: ${told}.`;
};

// ---- the cross entropy as a sum, and why it may have no limit ----------------------------------
const few = (x) => (x >= 0.005 || x === 0 ? x.toFixed(2) : x.toExponential(0));
const showSum = (p, q) => {
  const terms = p.map((x, k) => (x === 0 ? 0 : -x * Math.log(q[k])));
  const piece = (text) => Object.assign(document.createElement("span"), { textContent: text });
  const made = p.flatMap((x, k) => [
    piece(`${k ? "+ " : ""}${few(x)} × −log ${few(q[k])}`), " "]);
  const values = terms.map((x) => (Number.isFinite(x) ? (x * scale()).toFixed(3) : "∞")).join(" + ");
  $("sum").replaceChildren(...made, piece(`= ${values}`), " ",
    piece(`= ${Number.isFinite(sum(terms)) ? (sum(terms) * scale()).toFixed(3) : "∞"} ${state.unit}`));
  const missed = p.findIndex((x, k) => x > 0 && q[k] === 0), unmet = q.findIndex((x, k) => x > 0 && p[k] === 0);
  $("infinite").hidden = missed < 0 && unmet < 0;
  $("infinite").textContent = missed >= 0
    ? `Why infinite: Q gives ${state.names[missed]} no probability at all, and it happens ${percent(p[missed])}. `
      + "−log 0 has no limit: no other class can make up for having ruled out what happens."
    : `Why KL(Q||P) is infinite: there Q is what happens, and P rules out ${state.names[unmet]}, which Q gives `
      + `${percent(q[unmet])}. KL(P||Q) never asks for it: P gives it no weight.`;
};

// ---- both losses while Q trains -------------------------------------------------------------------
const curve = $("curve");
const ticks = (top) => {
  const rough = top / 4, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * ten).find((x) => x >= rough);
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
};
const showCurve = () => {
  const losses = path.map((q) => cross(state.p, q)), gaps = path.map((q) => kl(state.p, q));
  const finite = losses.filter(Number.isFinite);
  const top = Math.max(0.05, ...finite.slice(0, 2), ...finite) * 1.08, floor = entropy(state.p);
  const x = (t) => 60 + (t * (W - 80)) / STEPS, y = (v) => 200 - (v / top) * 185;
  const line = (values) => values.map((v, t) => [x(t), y(v)]).filter(([, v]) => Number.isFinite(v))
    .map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
  curve.replaceChildren(
    ...ticks(top * scale()).map((v) => draw("g", {},
      draw("line", { x1: 60, x2: W - 20, y1: y(v / scale()), y2: y(v / scale()), class: "axis" }),
      draw("text", { x: 54, y: y(v / scale()) + 5, "text-anchor": "end", class: "faint" }, String(v)))),
    ...[0, 25, 50, 75, 100].map((t) =>
      draw("text", { x: x(t), y: 218, "text-anchor": "middle", class: "faint" }, String(t))),
    draw("text", { x: x(50), y: 238, "text-anchor": "middle", class: "faint" },
      `steps of gradient descent; losses in ${state.unit}`),
    draw("line", { x1: 60, x2: W - 20, y1: y(floor), y2: y(floor), class: "floor-line" }),
    draw("text", { x: W - 22, y: y(floor) - 7, "text-anchor": "end" }, "floor H(P)"),
    draw("path", { d: line(losses), class: "q-line under" }), draw("path", { d: line(gaps), class: "kl-line" }),
    draw("line", { x1: x(state.step), x2: x(state.step), y1: 14, y2: 200, class: "now" }));
  const from = state.q.some((v, k) => v === 0 && state.p[k] > 0) ? 1 : 0;
  const step = Math.max(state.step, from);
  tell("fell-cross", losses[from] - losses[step]);
  tell("fell-kl", gaps[from] - gaps[step]);
  $("fell-from").textContent = from ? "step 1 (at step 0 both are infinite)" : "step 0";
};

// ---- everything that hangs on P and Q ---------------------------------------------------------------
const update = () => {
  train();
  const p = state.p, q = current();
  move();
  tell("h-p", entropy(p));
  tell("h-pq", cross(p, q));
  tell("kl-pq", kl(p, q));
  tell("kl-qp", kl(q, p));
  tell("js", js(p, q));
  $("identity").textContent =
    `${shown(cross(p, q))} = ${shown(entropy(p))} + ${shown(kl(p, q))} ${state.unit}`;
  showSum(p, q);
  showParts(p, q);
  showCurve();
  $("step").value = state.step;
  $("step-value").textContent = state.step;
  for (const [id, key, value] of [["nat", "unit", "nat"], ["bit", "unit", "bit"],
    ["minimise-kl", "objective", "kl"], ["minimise-cross", "objective", "cross_entropy"]]) {
    $(id).setAttribute("aria-pressed", String(state[key] === value));
  }
  $("more").disabled = p.length >= MOST;
  $("fewer").disabled = p.length <= 2;
  bars.dataset.p = JSON.stringify(p);
  bars.dataset.q = JSON.stringify(q);
  showPreset();
  remember();
};
const set = (p, q, names) => {
  Object.assign(state, { p, q, names, step: 0 });
  build();
  update();
};

// ---- presets ------------------------------------------------------------------------------------------
const presets = [
  ["three classes", [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], ["dog", "cat", "fox"]],
  ["dog and cat", [1, 0], [0.9, 0.1], ["dog", "cat"]],
  ["equal", [0.6, 0.3, 0.1], [0.6, 0.3, 0.1], ["dog", "cat", "fox"]],
  ["people disagree", [0.6, 0.4], [0.7, 0.3], ["dog", "cat"]],
  ["confident and wrong", [0.9, 0.1], [0.02, 0.98], ["dog", "cat"]],
  ["one-hot P", [1, 0, 0, 0], [0.7, 0.15, 0.1, 0.05], ["dog", "cat", "fox", "owl"]],
  ["q = 0 where p > 0", [0.5, 0.3, 0.2], [0.6, 0.4, 0], ["dog", "cat", "fox"]],
  ...given.presets.map((x) => [x.name, x.p, x.q, x.names]),
];
const OWN = "-1";
[...presets.map(([name], i) => [name, i]), ["your own", OWN]].forEach(([name, i]) => {
  $("preset").append(Object.assign(document.createElement("option"), { value: i, textContent: name }));
});
// the menu says where the picture is from only as long as it is that one
const alike = (x, y) => x.length === y.length && x.every((v, k) => Math.abs(v - y[k]) < 1e-7);
const showPreset = () => {
  const found = presets.findIndex(([, p, q]) => alike(p, state.p) && alike(q, current()));
  $("preset").value = String(found);
};
$("preset").addEventListener("change", (event) => {
  const [, p, q, names] = presets[event.target.value] ?? [];
  if (p) set(p.slice(), q.slice(), names.slice());
});

const on = (id, does) => $(id).addEventListener("click", () => { does(); update(); });
on("nat", () => { state.unit = "nat"; });
on("bit", () => { state.unit = "bit"; });
on("minimise-kl", () => { state.objective = "kl"; });
on("minimise-cross", () => { state.objective = "cross_entropy"; });
$("step").addEventListener("input", (event) => { state.step = Number(event.target.value); update(); });
$("more").addEventListener("click", () => {
  const share = 1 / (state.p.length + 1), grown = (x) => [...x.map((y) => y * (1 - share)), share];
  set(grown(state.p), grown(current()), [...state.names, `class ${state.p.length + 1}`]);
});
$("fewer").addEventListener("click", () => {
  const cut = (x) => {
    const kept = x.slice(0, -1), all = sum(kept);
    return kept.map((y) => (all > 0 ? y / all : 1 / kept.length));
  };
  set(cut(state.p), cut(current()), state.names.slice(0, -1));
});

$("scheme").addEventListener("click", () => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.scheme = (root.dataset.scheme ?? system) === "dark" ? "light" : "dark";
});

if (given.presets.length) {
  const { p, q, names } = given.presets[0];
  Object.assign(state, { p: p.slice(), q: q.slice(), names: names.slice() });
}
recall();
addEventListener("hashchange", () => { recall(); build(); update(); showDensity(); });
document.documentElement.classList.add("scripted");
build();
update();
showDensity();
