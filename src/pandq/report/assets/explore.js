// Drag P and Q, and watch what their entropies and divergences do. State lives in the address.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (id) => document.getElementById(id);
  const given = JSON.parse($("document").textContent);
  const MOST = 12, STEPS = 100, PER_STEP = 4, RATE = 0.5, TINY = 1e-9;

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
  const state = { p: [1, 0], q: [0.9, 0.1], names: ["dog", "cat"], unit: "nat", objective: "kl",
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
  const tell = (id, x) => {
    $(id).textContent = shown(x);
    $(id).dataset.nats = x;
  };

  // ---- training: the gradient of both objectives in the logits is q - p --------------------------
  let path = [];
  const train = () => {
    const start = state.q.map((x) => Math.max(x, TINY)), all = sum(start);
    let z = start.map((x) => Math.log(x / all));
    path = [state.q];
    for (let t = 1; t <= STEPS; t++) {
      for (let i = 0; i < PER_STEP; i++) {
        const q = softmax(z);
        z = z.map((x, k) => x - RATE * (q[k] - state.p[k]));
      }
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
    handles.clear();
    const n = state.p.length, slot = (W - 40) / n, width = Math.min(slot * 0.36, 60);
    bars.append(draw("line", { x1: 30, x2: W, y1: LOW, y2: LOW, class: "axis" }));
    for (const level of [0.5, 1]) {
      bars.append(draw("line", { x1: 30, x2: W, y1: height(level), y2: height(level), class: "axis" }),
        draw("text", { x: 24, y: height(level) + 4, "text-anchor": "end", class: "faint" }, `${level}`));
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
        const value = draw("text", { x: x + width / 2, "text-anchor": "middle" });
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
    const n = p.length, slot = (W - 40) / n, width = Math.min(slot * 0.6, 80), zero = 70, room = 46;
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

  // ---- both losses while Q trains -------------------------------------------------------------------
  const curve = $("curve");
  const showCurve = () => {
    const losses = path.map((q) => cross(state.p, q)), gaps = path.map((q) => kl(state.p, q));
    const finite = losses.filter(Number.isFinite);
    const top = Math.max(0.05, ...finite.slice(0, 2), ...finite) * 1.08, floor = entropy(state.p);
    const x = (t) => 40 + (t * (W - 50)) / STEPS, y = (v) => 180 - (v / top) * 160;
    const line = (values) => values.map((v, t) => [x(t), y(v)]).filter(([, v]) => Number.isFinite(v))
      .map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
    curve.replaceChildren(
      draw("line", { x1: 40, x2: W - 10, y1: 180, y2: 180, class: "axis" }),
      draw("line", { x1: 40, x2: W - 10, y1: y(floor), y2: y(floor), class: "floor-line" }),
      draw("text", { x: W - 12, y: y(floor) - 6, "text-anchor": "end" }, "floor H(P)"),
      draw("path", { d: line(losses), class: "q-line under" }), draw("path", { d: line(gaps), class: "kl-line" }),
      draw("line", { x1: x(state.step), x2: x(state.step), y1: 14, y2: 180, class: "axis" }),
      draw("text", { x: 40, y: 197, class: "faint" }, "steps of gradient descent"));
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
    remember();
  };
  const set = (p, q, names) => {
    Object.assign(state, { p, q, names, step: 0 });
    build();
    update();
  };

  // ---- presets ------------------------------------------------------------------------------------------
  const presets = [
    ["dog and cat", [1, 0], [0.9, 0.1], ["dog", "cat"]],
    ["equal", [0.6, 0.3, 0.1], [0.6, 0.3, 0.1], ["dog", "cat", "fox"]],
    ["people disagree", [0.6, 0.4], [0.7, 0.3], ["dog", "cat"]],
    ["confident and wrong", [0.9, 0.1], [0.02, 0.98], ["dog", "cat"]],
    ["one-hot P", [1, 0, 0, 0], [0.7, 0.15, 0.1, 0.05], ["dog", "cat", "fox", "owl"]],
    ["q = 0 where p > 0", [0.5, 0.3, 0.2], [0.6, 0.4, 0], ["dog", "cat", "fox"]],
    ...given.presets.map((x) => [x.name, x.p, x.q, x.names]),
  ];
  presets.forEach(([name], i) => {
    const option = document.createElement("option");
    option.value = i;
    option.textContent = name;
    $("preset").append(option);
  });
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

  // ---- two densities -----------------------------------------------------------------------------------
  const GRID = Array.from({ length: 1601 }, (_, i) => -8 + i / 100);
  const normal = (x, m, s) => Math.exp(-0.5 * ((x - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI));
  const humps = (x) => {
    const [a, s, b, t, w] = state.hump;
    return w * normal(x, a, s) + (1 - w) * normal(x, b, t);
  };
  const apart = (f, g) => sum(GRID.map((x) => {
    const p = f(x), q = g(x);
    return (p > 0 ? p * Math.log(p / Math.max(q, 1e-300)) - p + q : q) / 100;
  }));
  const fitted = (m, s) => (x) => normal(x, m, s);
  const density = $("density");
  const showDensity = () => {
    const q = fitted(...state.fit);
    const ps = GRID.map(humps), qs = GRID.map(q), top = Math.max(...ps, ...qs) * 1.1;
    const x = (v) => 10 + ((v + 8) * (W - 20)) / 16, y = (v) => 190 - (v / top) * 175;
    const outline = (f) => GRID.map((v, i) => `${i ? "L" : "M"}${x(v).toFixed(1)} ${y(f[i]).toFixed(1)}`).join("");
    density.replaceChildren(
      draw("path", { d: `${outline(ps)}L${x(8)} 190L${x(-8)} 190Z`, class: "p-area" }),
      draw("path", { d: `${outline(qs)}L${x(8)} 190L${x(-8)} 190Z`, class: "q-area" }),
      draw("path", { d: outline(ps), class: "p-line" }), draw("path", { d: outline(qs), class: "q-line" }),
      draw("line", { x1: 10, x2: W - 10, y1: 190, y2: 190, class: "axis" }));
    for (let tick = -8; tick <= 8; tick += 4) {
      density.append(draw("text", { x: x(tick), y: 206, "text-anchor": "middle", class: "faint" }, `${tick}`));
    }
    tell("density-pq", apart(humps, q));
    tell("density-qp", apart(q, humps));
    ["hump-0", "hump-1", "hump-2", "hump-3", "hump-4"].forEach((id, i) => {
      $(id).value = state.hump[i];
      $(`${id}-value`).textContent = state.hump[i].toFixed(2);
    });
    ["fit-0", "fit-1"].forEach((id, i) => {
      $(id).value = state.fit[i];
      $(`${id}-value`).textContent = state.fit[i].toFixed(2);
    });
    remember();
  };
  for (const [key, n] of [["hump", 5], ["fit", 2]]) {
    for (let i = 0; i < n; i++) {
      $(`${key}-${i}`).addEventListener("input", (event) => {
        state[key][i] = Number(event.target.value);
        showDensity();
      });
    }
  }
  // KL(P||Q) of a Gaussian Q is least at P's own mean and variance
  $("cover").addEventListener("click", () => {
    const [a, s, b, t, w] = state.hump, mean = w * a + (1 - w) * b;
    const variance = w * (s * s + (a - mean) ** 2) + (1 - w) * (t * t + (b - mean) ** 2);
    state.fit = [mean, Math.sqrt(variance)];
    showDensity();
  });
  // KL(Q||P) has a least value near each hump: go down from where Q is and from either hump, by
  // ever smaller steps, and take the lowest
  const descend = ([m, s]) => {
    const loss = (a, b) => (b < 0.05 || b > 6 ? Infinity : apart(fitted(a, b), humps));
    let best = loss(m, s);
    for (let size = 0.5; size > 1e-4; ) {
      const tries = [[m + size, s], [m - size, s], [m, s + size], [m, s - size]];
      const values = tries.map(([a, b]) => loss(a, b)), least = Math.min(...values);
      if (least < best) { best = least; [m, s] = tries[values.indexOf(least)]; } else { size /= 2; }
    }
    return { best, fit: [m, s] };
  };
  $("seek").addEventListener("click", () => {
    const [a, s, b, t] = state.hump;
    const ends = [state.fit, [a, s], [b, t]].map(descend);
    state.fit = ends.reduce((x, y) => (y.best < x.best - 1e-6 ? y : x)).fit;
    showDensity();
  });
  $("scheme").addEventListener("click", () => {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.scheme = (root.dataset.scheme ?? system) === "dark" ? "light" : "dark";
  });

  if (given.presets.length) {
    const { p, q, names } = given.presets[0];
    Object.assign(state, { p: p.slice(), q: q.slice(), names: names.slice() });
    $("preset").value = String(presets.length - given.presets.length);
  }
  recall();
  addEventListener("hashchange", () => { recall(); build(); update(); showDensity(); });
  document.documentElement.classList.add("scripted");
  build();
  update();
  showDensity();
})();
