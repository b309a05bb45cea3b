// Two humps and a Gaussian: forward KL covers, reverse KL seeks.
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
