// Values to colours. KINDS and GREY come from the theme of the displays, see page.py.

const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
// The ends of the scale that can hardly be told from the ground are left out.
const SPAN = { light: [0, 0.94], dark: [0.16, 1] };

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

function number(value) {
  if (value === null || Number.isNaN(value)) return "\u2013";
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : "-\u221e";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return value.toExponential(2);
  if (size >= 1000) return whole.format(value);
  return Number.isInteger(value) ? String(value) : short.format(value);
}

/** A scale of plotly's for viridis between two of its places. */
function viridis(theme) {
  const [low, high] = SPAN[theme], n = VIRIDIS.length - 1;
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  return Array.from({ length: 9 }, (_, s) => {
    const at = (low + ((high - low) * s) / 8) * n, i = Math.min(Math.floor(at), n - 1);
    const a = rgb(VIRIDIS[i]), b = rgb(VIRIDIS[i + 1]);
    const mix = a.map((v, c) => Math.round(v + (b[c] - v) * (at - i)));
    return [s / 8, `rgb(${mix.join(",")})`];
  });
}

/** What points may be coloured by. */
function colourings(column) {
  const found = column.targets.map((t, i) => ({ id: `target:${i}`, name: t.name, values: t.values, weights: column.counts }));
  if (column.counts) found.push({ id: "count", name: "Count", values: column.counts, log: true });
  column.fields.forEach((f, i) => found.push({ id: `field:${i}`, ...f }));
  found.push({ id: "none", name: "Nothing" });
  return found;
}

/** Colours of the given points for plotly, and what the legend says of them. */
function colourOf(colouring, shown, theme, plain) {
  if (colouring.id === "none") return { marker: { color: plain }, legend: { kind: "none" } };
  if (colouring.kinds) return colourOfKinds(colouring, shown, theme);
  const scaled = (v) => (colouring.log ? Math.log10(v + 1) : v);
  const places = shown.filter((i) => Number.isFinite(colouring.values[i])).sort((a, b) => colouring.values[a] - colouring.values[b]);
  const known = Array.from(places, (i) => colouring.values[i]);
  const grey = GREY[theme].missing;
  if (!known.length) return { marker: { color: grey }, legend: { kind: "ramp", name: colouring.name, empty: true } };
  // Most of the scale goes to most of the points; a few extreme ones share its ends.
  const cut = colouring.log || known.length < 50 ? 0 : 0.02;
  const [low, high] = quantiles(places, known, colouring.weights, cut);
  const from = scaled(low), span = scaled(high) - from || 1;
  const missing = known.length < shown.length;
  const color = new Float64Array(shown.length);
  // Missing ones have a place of their own below the scale.
  for (let p = 0; p < shown.length; p++) {
    const v = colouring.values[shown[p]];
    color[p] = Number.isFinite(v) ? Math.min(Math.max((scaled(v) - from) / span, 0), 1) : -1;
  }
  const stops = viridis(theme);
  const scale = missing
    ? [[0, grey], [0.25, grey], ...stops.map(([s, c]) => [0.5 + s / 2, c])]
    : stops;
  const unscaled = (v) => (colouring.log ? 10 ** v - 1 : v);
  return {
    marker: { color, colorscale: scale, cmin: missing ? -1 : 0, cmax: 1, cauto: false, showscale: false },
    legend: {
      kind: "ramp", name: colouring.name + (colouring.log ? ", logarithmic" : ""), stops, missing, grey,
      low: (known[0] < low ? "\u2264 " : "") + number(low), middle: number(low === high ? low : unscaled(from + span / 2)),
      high: (known[known.length - 1] > high ? "\u2265 " : "") + number(high), same: low === high,
    },
  };
}

/** The values below and above which the given share of the weight lies; `known` is sorted. */
function quantiles(places, known, weights, cut) {
  const weight = (p) => (weights ? weights[places[p]] : 1), last = known.length - 1;
  let total = 0;
  for (let p = 0; p <= last; p++) total += weight(p);
  let low = 0, high = last;
  for (let sum = weight(low); low < last && sum < cut * total; sum += weight(++low));
  for (let sum = weight(high); high > low && sum < cut * total; sum += weight(--high));
  return [known[low], known[high]];
}

/** Kinds of the given points, the most frequent first, and how many points each has; -1: missing. */
function kindsOf(colouring, shown) {
  const counts = new Map();
  for (const i of shown) counts.set(colouring.codes[i], (counts.get(colouring.codes[i]) || 0) + 1);
  const kinds = [...counts.keys()].filter((c) => c >= 0).sort((a, b) => counts.get(b) - counts.get(a) || a - b);
  return { kinds, counts };
}

/** The same points in the order in which they are drawn: those without a colour of their own first. */
function drawnOrder(colouring, shown) {
  if (colouring.id === "none") return shown;
  let coloured = (i) => Number.isFinite(colouring.values[i]);
  if (colouring.kinds) {
    const top = new Set(kindsOf(colouring, shown).kinds.slice(0, KINDS.light.length));
    coloured = (i) => top.has(colouring.codes[i]);
  }
  const above = shown.filter(coloured), below = shown.filter((i) => !coloured(i));
  const order = new Uint32Array(shown.length);
  order.set(below);
  order.set(above, below.length);
  return order;
}

function colourOfKinds(colouring, shown, theme) {
  const { kinds, counts } = kindsOf(colouring, shown);
  const palette = KINDS[theme], other = palette.length, missing = other + 1;
  const top = kinds.slice(0, other);
  const place = new Map(top.map((c, p) => [c, p]));
  const color = new Float64Array(shown.length);
  let others = 0;
  for (let p = 0; p < shown.length; p++) {
    const code = colouring.codes[shown[p]];
    color[p] = code < 0 ? missing : place.has(code) ? place.get(code) : other;
    others += color[p] === other;
  }
  const all = [...palette, GREY[theme].other, GREY[theme].missing];
  const scale = all.flatMap((c, p) => [[p / all.length, c], [(p + 1) / all.length, c]]);
  const keys = top.map((c, p) => ({ text: colouring.kinds[c], colour: palette[p], count: counts.get(c) }));
  const rest = kinds.length - top.length;
  if (others) keys.push({ text: `${whole.format(rest)} other ${rest === 1 ? "kind" : "kinds"}`, colour: all[other], count: others, odd: true });
  if (counts.get(-1)) keys.push({ text: "(missing)", colour: all[missing], count: counts.get(-1), odd: true });
  return {
    marker: { color, colorscale: scale, cmin: -0.5, cmax: all.length - 0.5, cauto: false, showscale: false },
    legend: { kind: "keys", name: colouring.name, keys },
  };
}
