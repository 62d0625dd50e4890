// The page: what is chosen, and what follows from it.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const columns = data.columns.map((raw) => new Column(raw));
const dark = matchMedia("(prefers-color-scheme: dark)");

const state = {
  column: columns[data.first], method: columns[data.first].methods[0], dims: 2, colouring: null, least: 0, sized: false, named: true,
  metric: "cosine", k: 10, query: -1, near: [], trail: [], selection: new Set(), theme: dark.matches ? "dark" : "light",
};

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function nameOf(i, tag = "span") {
  const made = element(tag, state.column.text(i), { class: state.column.isOdd(i) ? "name odd" : "name", dir: "auto" });
  made.title = state.column.text(i);
  return made;
}

function fill(select, items) {
  select.replaceChildren(...items.map(([value, text]) => element("option", text, { value })));
}

function plural(n, one, many) {
  return `${whole.format(n)} ${n === 1 ? one : many}`;
}

// The map

const plot = new Plot($("stage"), {
  choose: (i) => choose(i),
  hover: (i, x, y) => hover(i, x, y),
  legend: (legend) => drawLegend(legend),
  select: (indices) => select(indices),
  late: (is) => {
    if (is) notice("The map waits for plotly, which the first explorer of this notebook has in its output. Show that output, or restart the kernel and run the notebook. Search and neighbours work without it.");
    else $("notice").hidden = true;
  },
  fail: (error) => notice(`The map could not be drawn: ${error.message}. Search and neighbours work without it.`),
});

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
}

function show() {
  document.documentElement.dataset.state = "busy";
  const asked = { ...state };
  plot.show(asked).then(() => {
    if (plot.state !== asked) return;
    document.documentElement.dataset.state = "ready";
    describe();
  });
}

function describe() {
  const { column, method, dims } = state, view = column.view(method, dims);
  $("axis-x").textContent = dims === 2 ? view.names[0] : view.names.join(" \u00b7 ");
  $("axis-y").textContent = dims === 2 ? view.names[1] : "";
  const parts = [
    `Scatter plot of ${plural(plot.shown.length, "category", "categories")} of ${column.name} by ${view.names.join(", ")}`,
    state.colouring.id === "none" ? "" : `coloured by ${state.colouring.name}`,
    state.query < 0 ? "" : `${column.text(state.query)} and its neighbours are marked`,
  ];
  $("plot").setAttribute("aria-label", parts.filter(Boolean).join("; "));
}

function drawLegend(legend) {
  const box = $("legend"), made = [];
  if (legend.kind !== "none") made.push(element("span", legend.name, { class: "what" }));
  if (legend.kind === "ramp" && legend.empty) made.push(element("span", "no values among these categories"));
  if (legend.kind === "ramp" && !legend.empty) {
    const ramp = element("span", null, { class: "ramp" }), bar = element("i", null);
    bar.style.background = `linear-gradient(to right, ${legend.stops.map((s) => s[1]).join(",")})`;
    ramp.append(element("span", legend.low), bar, element("span", legend.high));
    ramp.title = `The middle of the scale is ${legend.middle}`;
    made.push(ramp);
    if (legend.missing) made.push(key({ text: "(missing)", colour: legend.grey, odd: true }));
  }
  if (legend.kind === "keys") made.push(...legend.keys.map(key));
  if (legend.kind === "none") made.push(element("span", plural(plot.shown.length, "category", "categories"), { class: "count" }));
  box.replaceChildren(...made);
}

function key({ text, colour, count, odd }) {
  const made = element("span", null, { class: "key" }), dot = element("i", null);
  dot.style.background = colour;
  const name = element("span", text, { class: odd ? "name odd" : "name", dir: "auto" });
  name.title = text;
  made.append(dot, name);
  if (count !== undefined) made.append(element("span", whole.format(count), { class: "count" }));
  return made;
}

/** What is known of a category, as pairs of a name and a text. */
function facts(i) {
  const { column } = state, found = [];
  if (column.counts) found.push(["Count", whole.format(column.counts[i])]);
  for (const t of column.targets) found.push([t.name, number(t.values[i])]);
  for (const f of column.fields) found.push([f.name, f.kinds ? (f.codes[i] < 0 ? "\u2013" : f.kinds[f.codes[i]]) : number(f.values[i])]);
  return found;
}

function hover(i, x, y) {
  const tip = $("tip");
  if (i < 0) { tip.hidden = true; return; }
  const list = element("dl", null);
  const known = facts(i).slice(0, 8);
  if (state.query >= 0 && i !== state.query) {
    known.push([{ cosine: "Cosine", euclidean: "Similarity", dot: "Dot product" }[state.metric], state.column.similarity(state.query, i, state.metric).toFixed(4)]);
  }
  for (const [name, value] of known) list.append(element("dt", name), element("dd", value, { dir: "auto" }));
  const title = element("strong", state.column.text(i), { dir: "auto" });
  tip.replaceChildren(title, list);
  tip.hidden = false;
  const stage = $("stage"), w = tip.offsetWidth, h = tip.offsetHeight;
  tip.style.left = `${Math.max(4, x + 14 + w > stage.clientWidth ? x - w - 14 : x + 14)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, stage.clientHeight - h - 4))}px`;
}

// The query and its neighbours

function choose(i, { walk = true, focus = false } = {}) {
  if (walk && state.query >= 0 && state.query !== i) state.trail.push(state.query);
  state.query = i;
  answer();
  if (focus) $("chosen").focus();
}

function answer() {
  const { column, query } = state;
  $("empty").hidden = query >= 0;
  $("answer").hidden = $("found").hidden = query < 0;
  $("back").hidden = !state.trail.length;
  if (query < 0) { state.near = []; plot.marks.set(-1, []); return; }
  state.near = column.neighbours(query, state.k, state.metric, state.least);
  const chosen = $("chosen");
  chosen.textContent = column.text(query);
  chosen.title = column.text(query);
  chosen.className = column.isOdd(query) ? "odd" : "";
  $("facts").replaceChildren(...facts(query).map(([name, value]) => {
    const pair = element("div", null);
    pair.append(element("dt", name), element("dd", value, { dir: "auto" }));
    pair.title = `${name}: ${value}`;
    return pair;
  }));
  drawNeighbours();
  plot.marks.set(query, state.near.map((n) => n.index));
  if (plot.view) describe();
  $("said").textContent = `${column.text(query)}: ${plural(state.near.length, "neighbour", "neighbours")}`
    + (state.near.length ? `, the nearest is ${column.text(state.near[0].index)}` : "");
}

function drawNeighbours() {
  const { column, near, metric } = state;
  const by = { cosine: "cosine", euclidean: "Euclidean distance", dot: "dot product" }[metric];
  const least = column.counts && state.least > 0 ? `, of ${plural(state.least, ...column.unit)} or more` : "";
  $("caption").textContent = near.length ? `Nearest by ${by}${least}` : `No other category has ${plural(state.least, ...column.unit)}`;
  const head = element("tr", null);
  head.append(element("th", "Category", { scope: "col" }), element("th", metric === "dot" ? "Product" : "Similarity", { scope: "col", class: "number" }));
  if (metric === "euclidean") head.append(element("th", "Distance", { scope: "col", class: "number" }));
  if (column.counts) head.append(element("th", "Count", { scope: "col", class: "number" }));
  $("neighbours-head").replaceChildren(head);
  const most = metric === "dot" ? Math.max(...near.map((n) => Math.abs(n.similarity)), 1e-300) : 1;
  $("neighbours").replaceChildren(...near.map((n) => {
    const row = element("tr", null), name = element("td", null), walk = element("button", null, { type: "button" });
    walk.append(nameOf(n.index));
    walk.dataset.index = n.index;
    name.append(walk);
    const similar = element("td", shown(n.similarity, metric), { class: "similar" });
    similar.dataset.value = n.similarity;
    similar.style.setProperty("--share", `${Math.max(0, Math.min(1, n.similarity / most)) * 100}%`);
    row.append(name, similar);
    if (metric === "euclidean") { const cell = element("td", shown(n.distance, "dot")); cell.dataset.value = n.distance; row.append(cell); }
    if (column.counts) row.append(element("td", whole.format(column.counts[n.index])));
    return row;
  }));
}

function shown(value, metric) {
  if (metric !== "dot" || Math.abs(value) < 10) return value.toFixed(4);
  return number(value);
}

// The selection

function select(indices) {
  state.selection = new Set(indices);
  drawSelection();
}

function drawSelection() {
  const { column, selection } = state, n = selection.size;
  $("save-selection").disabled = $("clear").disabled = !n;
  $("selected").textContent = n ? `${plural(n, "category", "categories")} selected` : "Nothing is selected. Drag a box or a lasso over the 2-D map, or take what is in view.";
  const some = [];
  if (n) for (const i of column.byCount) { if (selection.has(i) && some.push(i) === 12) break; }
  chips($("sample"), some);
}

function chips(list, indices) {
  list.replaceChildren(...indices.map((i) => {
    const item = element("li", null), button = nameOf(i, "button");
    button.type = "button";
    button.dataset.index = i;
    item.append(button);
    return item;
  }));
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = element("a", null, { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function fileName(what) {
  return `${state.column.name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 60) || "column"}_${what}.csv`;
}

// Controls

function changeColumn(column) {
  Object.assign(state, { column, query: -1, near: [], trail: [], selection: new Set() });
  if (!column.methods.includes(state.method)) state.method = column.methods[0];
  fill($("method"), column.methods.map((m) => [m, { pca: "PCA", tsne: "t-SNE", umap: "UMAP" }[m] || m]));
  $("method").value = state.method;
  const all = colourings(column), was = state.colouring && state.colouring.id;
  fill($("colour"), all.map((c) => [c.id, c.name]));
  state.colouring = all.find((c) => c.id === was) || all[0];
  $("colour").value = state.colouring.id;
  const has = { column: columns.length > 1, method: column.methods.length > 1, colour: all.length > 1, least: column.counts, sized: column.counts };
  for (const box of document.querySelectorAll("[data-for]")) box.hidden = !has[box.dataset.for];
  if (!column.counts) state.sized = $("sized").checked = false;
  setLeast(0);
  const rows = column.total === null ? "" : ` \u00b7 ${plural(column.total, ...column.unit)}`;
  $("summary").textContent = `${column.name}: ${plural(column.n, "category", "categories")} \u00b7 ${plural(column.width, "dimension", "dimensions")}${rows}`;
  $("search").value = "";
  chips($("starters"), column.counts ? Array.from(column.byCount.subarray(0, 6)) : []);
  drawSelection();
  answer();
}

function setLeast(value) {
  state.least = Math.min(Math.max(Math.round(value) || 0, 0), state.column.largest);
  $("least").value = state.least;
  $("least").max = state.column.largest;
  $("least-range").value = state.least ? Math.round((100 * Math.log(state.least + 1)) / Math.log(state.column.largest + 1)) : 0;
}

function changeLeast(value) {
  const was = state.least;
  setLeast(value);
  if (state.least === was) return;
  answer();
  show();
}

function changeTheme(theme) {
  state.theme = theme;
  nameTheme();
  show();
}

/** The button says what it leads to. */
function nameTheme() {
  $("theme").textContent = state.theme === "dark" ? "Light theme" : "Dark theme";
}

function listen() {
  const change = (id, act) => $(id).addEventListener("change", (e) => { act(e.target); });
  change("column", (t) => { changeColumn(columns[Number(t.value)]); show(); });
  change("method", (t) => { state.method = t.value; show(); });
  change("colour", (t) => { state.colouring = colourings(state.column).find((c) => c.id === t.value); show(); });
  change("sized", (t) => { state.sized = t.checked; show(); });
  change("named", (t) => { state.named = t.checked; show(); });
  change("metric", (t) => { state.metric = t.value; answer(); });
  $("k").addEventListener("input", (e) => { state.k = Number(e.target.value); $("k-shown").textContent = state.k; answer(); });
  change("least", (t) => changeLeast(Number(t.value)));
  change("least-range", (t) => changeLeast((state.column.largest + 1) ** (t.value / 100) - 1));
  $("least-range").addEventListener("input", (e) => { $("least").value = Math.round((state.column.largest + 1) ** (e.target.value / 100) - 1); });
  for (const radio of document.querySelectorAll("[name=dims]")) {
    radio.addEventListener("change", () => { state.dims = Number(radio.value); $("drag-tools").hidden = state.dims === 3; show(); });
  }
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => {
      for (const b of document.querySelectorAll("[data-tool]")) b.setAttribute("aria-pressed", String(b === button));
      plot.use(button.dataset.tool);
    });
  }
  const acts = { in: () => plot.zoom(0.7), out: () => plot.zoom(1 / 0.7), home: () => plot.goHome() };
  for (const button of document.querySelectorAll("[data-act]")) button.addEventListener("click", () => acts[button.dataset.act]());
  for (const id of ["neighbours", "sample", "starters"]) {
    $(id).addEventListener("click", (e) => { const b = e.target.closest("button"); if (b) choose(Number(b.dataset.index), { focus: true }); });
  }
  $("back").addEventListener("click", () => { choose(state.trail.pop(), { walk: false, focus: true }); });
  $("select-view").addEventListener("click", () => { select(plot.inView()); show(); });
  $("clear").addEventListener("click", () => { select([]); show(); });
  $("save-selection").addEventListener("click", () => {
    const chosen = Array.from(state.column.byCount).filter((i) => state.selection.has(i));
    download(fileName("selection"), tableOf(state.column, chosen, state.method, state.dims));
  });
  $("save-neighbours").addEventListener("click", () => {
    const own = { index: state.query, similarity: state.column.similarity(state.query, state.query, state.metric), distance: 0 };
    const rows = [own, ...state.near], extra = [{ name: "similarity", values: rows.map((r) => r.similarity) }];
    if (state.metric === "euclidean") extra.push({ name: "distance", values: rows.map((r) => r.distance) });
    download(fileName("neighbours"), tableOf(state.column, rows.map((r) => r.index), state.method, state.dims, extra));
  });
  $("theme").addEventListener("click", () => {
    const theme = state.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    changeTheme(theme);
  });
  $("more").addEventListener("click", () => {
    $("more").setAttribute("aria-expanded", String($("more").getAttribute("aria-expanded") !== "true"));
  });
  dark.addEventListener("change", () => { if (!document.documentElement.dataset.theme) changeTheme(dark.matches ? "dark" : "light"); });
}

new Combobox($("search"), $("options"), $("matches"), {
  search: (typed) => state.column.search(typed, 20),
  draw: (i) => [nameOf(i), ...(state.column.counts ? [element("span", whole.format(state.column.counts[i]), { class: "count" })] : [])],
  choose: (i) => choose(i),
});
fill($("column"), columns.map((c, i) => [i, c.name]));
nameTheme();
if (!plot.webgl) {
  notice("This browser draws without WebGL: the map is slower, and there is no third dimension.");
  document.querySelector("[name=dims][value='3']").disabled = true;
}
$("column").value = data.first;
changeColumn(state.column);
listen();
show();
// For scripts that drive the page.
window.explorer = { state, plot, columns, choose };
