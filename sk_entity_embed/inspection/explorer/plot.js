// The map: plotly draws the points, a canvas above it names and rings.

const FIELD_OF_VIEW = Math.PI / 4; // plotly's
const EYE = [0.66, -0.66, 0.36]; // a direction

function hasWebGL() {
  try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
}

class Plot {
  constructor(stage, on) {
    this.stage = stage;
    this.on = on;
    this.gd = stage.querySelector("#plot");
    this.marks = new Marks(this, stage.querySelector("#overlay"));
    this.webgl = hasWebGL();
    this.job = plotly(on.late);
    this.home = null;
    this.listen();
  }

  // What is shown

  /** Draw what `state` says; where only colours or names change, points stay as they are. */
  show(state) {
    this.state = state;
    this.job = this.job.then(() => this.draw(state)).catch((e) => { console.error(e); this.on.fail(e); });
    return this.job;
  }

  async draw(state) {
    if (state !== this.state) return; // a later one is waiting
    this.dragged = false;
    const { column, method, dims, least } = state;
    const key = [column.name, method, dims].join("\n");
    const fresh = key !== this.key;
    const again = this.dims !== dims;
    this.view = column.view(method, dims);
    if (fresh || least !== this.least) this.filter(column, least);
    Object.assign(this, { column, key, dims, least });
    if (fresh) this.box = this.extent();
    const kept = fresh ? null : this.range();
    this.shown = drawnOrder(state.colouring, this.kept);
    this.point = this.sizeOfPoints();
    const layout = this.layout(kept || this.homeRange());
    const trace = this.trace(state);
    if (again) {
      if (this.gd.data) Plotly.purge(this.gd);
      await Plotly.newPlot(this.gd, [trace], layout, {
        displayModeBar: false, displaylogo: false, scrollZoom: true, doubleClick: false, showTips: false,
        showAxisDragHandles: false, typesetMath: false, responsive: false,
      });
      this.subscribe();
    } else await Plotly.react(this.gd, [trace], layout);
    this.marks.redraw();
  }

  /** The rarest first, so that the frequent ones are drawn above them. */
  filter(column, least) {
    const order = [];
    for (let p = column.n - 1; p >= 0; p--) {
      const i = column.byCount[p];
      if (!column.counts || column.counts[i] >= least) order.push(i);
    }
    this.kept = Uint32Array.from(order);
    this.isShown = new Uint8Array(column.n);
    for (const i of order) this.isShown[i] = 1;
  }

  trace(state) {
    const take = (axis) => Float32Array.from(this.shown, (i) => axis[i]);
    const style = getComputedStyle(document.documentElement);
    const { marker, legend } = colourOf(state.colouring, this.shown, state.theme, style.getPropertyValue("--point").trim());
    this.on.legend(legend);
    const flat = this.dims === 2;
    const few = this.shown.length < 1500 && flat;
    const trace = {
      type: flat ? (this.webgl ? "scattergl" : "scatter") : "scatter3d", mode: "markers", hoverinfo: "none",
      x: take(this.view.axes[0]), y: take(this.view.axes[1]),
      marker: {
        ...marker, size: state.sized && this.column.counts ? Float32Array.from(this.shown, (i) => this.diameter(i)) : this.point,
        opacity: flat ? this.opacity() : 0.9,
        line: { width: few ? 1 : 0, color: style.getPropertyValue("--ground").trim() },
      },
    };
    if (!flat) trace.z = take(this.view.axes[2]);
    else {
      trace.selectedpoints = this.selectedPoints(state.selection);
      trace.selected = { marker: { opacity: Math.max(this.opacity(), 0.9) } };
      trace.unselected = { marker: { opacity: 0.12 } };
    }
    return trace;
  }

  selectedPoints(selection) {
    if (!selection.size) return null;
    const points = [];
    this.shown.forEach((i, p) => { if (selection.has(i)) points.push(p); });
    return points;
  }

  opacity() {
    return this.shown.length > 8000 ? 0.6 : this.shown.length > 1500 ? 0.75 : 0.92;
  }

  sizeOfPoints() {
    const size = 17.5 - 3 * Math.log10(Math.max(this.shown.length, 1));
    return Math.min(Math.max(this.dims === 2 ? size : size * 0.72, this.dims === 2 ? 4 : 2.5), 13);
  }

  /** Diameter of a point; areas are in proportion to counts, down to a least size. */
  diameter(i) {
    if (!this.state.sized || !this.column.counts) return this.point;
    const big = Math.max(this.point * 2.6, 14), small = Math.max(this.point * 0.45, 2);
    return Math.max(small, big * Math.sqrt(this.column.counts[i] / (this.column.largest || 1)));
  }

  radius(i) {
    return this.diameter(i) / 2;
  }

  // Ranges: a unit is as long on all axes

  extent() {
    return this.view.axes.map((axis) => {
      let low = Infinity, high = -Infinity;
      for (const v of axis) { if (v < low) low = v; if (v > high) high = v; }
      return [low, high];
    });
  }

  homeRange() {
    const spans = this.box.map(([low, high]) => high - low), most = Math.max(...spans) || 1;
    const middle = this.box.map(([low, high]) => (low + high) / 2);
    if (this.dims === 3) {
      return spans.map((s, d) => { const half = Math.max(s, most * 0.2) * 0.53; return [middle[d] - half, middle[d] + half]; });
    }
    const { width, height } = this.size();
    const unit = Math.max((spans[0] || most / 4) / Math.max(width - 90, 50), (spans[1] || most / 4) / Math.max(height - 110, 50));
    return [[middle[0] - (unit * width) / 2, middle[0] + (unit * width) / 2], [middle[1] - (unit * height) / 2, middle[1] + (unit * height) / 2]];
  }

  size() {
    return { width: Math.max(this.stage.clientWidth, 100), height: Math.max(this.stage.clientHeight, 100) };
  }

  range() {
    const full = this.gd._fullLayout;
    if (!full) return null;
    return this.dims === 2 ? [full.xaxis.range.slice(), full.yaxis.range.slice()] : this.homeRange();
  }

  /** From farther away where the map is narrow, so that nothing lies beside it. */
  homeCamera() {
    const { width, height } = this.size();
    const [x, y, z] = EYE.map((v) => v * 0.98 * Math.hypot(...this.aspect) * Math.max(1, height / width));
    return { eye: { x, y, z }, center: { x: 0, y: 0, z: 0 }, up: { x: 0, y: 0, z: 1 } };
  }

  camera() {
    const scene = this.gd._fullLayout.scene;
    return scene._scene && scene._scene.getCamera ? scene._scene.getCamera() : scene.camera;
  }

  layout(range) {
    const style = getComputedStyle(document.documentElement);
    const line = style.getPropertyValue("--line").trim(), grid = style.getPropertyValue("--grid").trim(), accent = style.getPropertyValue("--accent").trim();
    const axis = (d) => ({
      range: range[d], autorange: false, showticklabels: false, ticks: "", title: { text: "" }, showgrid: true,
      gridcolor: grid, gridwidth: 1, zeroline: this.state.method === "pca", zerolinecolor: line, zerolinewidth: 1.5, fixedrange: undefined,
    });
    const layout = {
      ...this.size(), autosize: false, margin: { l: 0, r: 0, t: 0, b: 0, pad: 0 }, showlegend: false, hovermode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: this.tool || "pan",
    };
    if (this.dims === 2) {
      const selection = { line: { color: accent, width: 1.5, dash: "dot" } };
      return { ...layout, xaxis: axis(0), yaxis: axis(1), newselection: selection, activeselection: { fillcolor: "rgba(0,0,0,0)" } };
    }
    const spans = range.map(([low, high]) => high - low), longest = Math.max(...spans);
    const solid = (d) => ({ ...axis(d), showbackground: false, showspikes: false, fixedrange: undefined, showline: true, linecolor: style.getPropertyValue("--edge").trim() });
    this.aspect = spans.map((s) => (1.4 * s) / longest);
    return {
      ...layout, dragmode: "turntable",
      scene: {
        xaxis: solid(0), yaxis: solid(1), zaxis: solid(2), aspectmode: "manual", hovermode: false, dragmode: "turntable",
        aspectratio: { x: this.aspect[0], y: this.aspect[1], z: this.aspect[2] },
        camera: this.key3 === this.key && this.gd._fullLayout && this.gd._fullLayout.scene ? this.camera() : this.homeCamera(),
      },
    };
  }

  // Where points are

  /** A function from categories to pixels: [x, y, depth], or null where they cannot be seen. */
  projector() {
    const { width, height } = this.size(), axes = this.view.axes;
    if (this.dims === 2) {
      const [[x0, x1], [y0, y1]] = this.range();
      const fx = width / (x1 - x0), fy = height / (y1 - y0);
      return (i) => [(axes[0][i] - x0) * fx, height - (axes[1][i] - y0) * fy, 0];
    }
    const { eye, center, up } = this.camera(), range = this.homeRange();
    const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]], dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    const unit = (a) => { const l = Math.hypot(...a) || 1; return a.map((v) => v / l); };
    const from = [eye.x, eye.y, eye.z];
    const back = unit(sub(from, [center.x, center.y, center.z])), right = unit(cross([up.x, up.y, up.z], back)), above = cross(back, right);
    const f = height / 2 / Math.tan(FIELD_OF_VIEW / 2);
    const scale = range.map(([low, high], d) => this.aspect[d] / (high - low)), middle = range.map(([low, high]) => (low + high) / 2);
    return (i) => {
      const p = sub([0, 1, 2].map((d) => (axes[d][i] - middle[d]) * scale[d]), from), depth = -dot(p, back);
      if (depth <= 0.01) return null;
      return [width / 2 + (f * dot(p, right)) / depth, height / 2 - (f * dot(p, above)) / depth, depth];
    };
  }

  /** The category at a place of the stage, or -1. */
  pick(x, y) {
    if (!this.view) return -1;
    const where = this.projector();
    let best = -1, least = Infinity;
    const marked = [this.marks.query, ...this.marks.near];
    const consider = (i) => {
      const at = where(i);
      if (!at) return;
      const reach = this.radius(i) + 7, d = (at[0] - x) ** 2 + (at[1] - y) ** 2;
      // Of points on one place the last is on top.
      if (d <= reach * reach && d <= least) { least = d; best = i; }
    };
    for (const i of this.shown) consider(i);
    for (const i of marked) if (i >= 0 && !this.isShown[i]) consider(i);
    return best;
  }

  inView() {
    const where = this.projector(), { width, height } = this.size();
    return Array.from(this.shown).filter((i) => { const at = where(i); return at && at[0] >= 0 && at[1] >= 0 && at[0] <= width && at[1] <= height; });
  }

  // Moving

  relayout(update) {
    this.job = this.job.then(() => Plotly.relayout(this.gd, update)).then(() => this.marks.redraw());
    return this.job;
  }

  setRange([x, y]) {
    return this.relayout({ "xaxis.range": x, "yaxis.range": y });
  }

  zoom(factor) {
    if (this.dims === 3) {
      const c = this.camera();
      return this.setCamera({ ...c, eye: { x: c.eye.x * factor, y: c.eye.y * factor, z: c.eye.z * factor } });
    }
    return this.setRange(this.range().map(([low, high]) => { const m = (low + high) / 2, h = ((high - low) / 2) * factor; return [m - h, m + h]; }));
  }

  setCamera(camera) {
    return this.relayout({ "scene.camera": camera });
  }

  move(dx, dy) {
    if (this.dims === 3) {
      const c = this.camera(), { x, y, z } = c.eye, r = Math.hypot(x, y, z);
      const turn = Math.atan2(y, x) - dx * 0.2, rise = Math.min(Math.max(Math.asin(z / r) + dy * 0.15, -1.5), 1.5);
      return this.setCamera({ ...c, up: { x: 0, y: 0, z: 1 }, eye: { x: r * Math.cos(rise) * Math.cos(turn), y: r * Math.cos(rise) * Math.sin(turn), z: r * Math.sin(rise) } });
    }
    const [x, y] = this.range(), sx = (x[1] - x[0]) * 0.15 * dx, sy = (y[1] - y[0]) * 0.15 * dy;
    return this.setRange([x.map((v) => v + sx), y.map((v) => v + sy)]);
  }

  goHome() {
    return this.dims === 3 ? this.setCamera(this.homeCamera()) : this.setRange(this.homeRange());
  }

  /** Move the map if a category lies outside it. */
  uncover(i) {
    if (this.dims !== 2 || !this.gd._fullLayout) return;
    const at = this.projector()(i), { width, height } = this.size();
    if (at[0] > 20 && at[1] > 20 && at[0] < width - 20 && at[1] < height - 20) return;
    const middle = [this.view.axes[0][i], this.view.axes[1][i]];
    this.setRange(this.range().map(([low, high], d) => [middle[d] - (high - low) / 2, middle[d] + (high - low) / 2]));
  }

  use(tool) {
    this.tool = tool;
    if (this.dims === 2) this.relayout({ dragmode: tool });
  }

  resize() {
    if (!this.view || !this.gd._fullLayout) return;
    const full = this.gd._fullLayout, { width, height } = this.size();
    if (full.width === width && full.height === height) return;
    if (this.dims === 3) return this.relayout({ width, height });
    const was = this.range();
    const grown = was.map(([low, high], d) => {
      const half = ((high - low) / 2) * (d ? height / full.height : width / full.width);
      return [(low + high) / 2 - half, (low + high) / 2 + half];
    });
    return this.relayout({ width, height, "xaxis.range": grown[0], "yaxis.range": grown[1] });
  }

  // Events

  subscribe() {
    this.key3 = this.key;
    this.gd.on("plotly_relayouting", () => this.marks.redraw());
    this.gd.on("plotly_relayout", () => this.marks.redraw());
    // Plotly reports a selection of its own after each drawing, too.
    this.gd.on("plotly_selected", (e) => { if (this.dragged && e && e.points) this.on.select(e.points.map((p) => this.shown[p.pointIndex])); });
  }

  listen() {
    const { stage } = this;
    let down = null, moved = null;
    const place = (e) => { const box = stage.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
    stage.addEventListener("pointerdown", (e) => { this.dragged = true; if (e.button === 0) down = { x: e.clientX, y: e.clientY }; this.on.hover(-1); }, true);
    window.addEventListener("pointerup", (e) => {
      if (down && Math.hypot(e.clientX - down.x, e.clientY - down.y) < 5) {
        const i = this.pick(...place(e));
        if (i >= 0) this.on.choose(i);
      }
      down = null;
    }, true);
    stage.addEventListener("pointermove", (e) => {
      if (e.buttons || e.pointerType === "touch") return;
      if (!moved) requestAnimationFrame(() => { const at = moved; moved = null; const i = at ? this.pick(...at) : -1; stage.classList.toggle("hit", i >= 0); this.on.hover(i, ...(at || [])); });
      moved = place(e);
    }, true);
    stage.addEventListener("pointerleave", () => { moved = null; this.on.hover(-1); });
    stage.addEventListener("dblclick", (e) => { if (this.pick(...place(e)) < 0) this.goHome(); });
    stage.addEventListener("wheel", () => this.marks.redraw(), { passive: true });
    stage.addEventListener("keydown", (e) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
      if (e.target !== stage || e.ctrlKey || e.metaKey || e.altKey) return;
      if (move) this.move(...move);
      else if (e.key === "+" || e.key === "=") this.zoom(0.7);
      else if (e.key === "-") this.zoom(1 / 0.7);
      else if (e.key === "0" || e.key === "Home") this.goHome();
      else return;
      e.preventDefault();
    });
    new ResizeObserver(() => this.resize()).observe(stage);
    // The camera goes on turning for a moment after its events.
    let last = "";
    const watch = () => {
      if (this.dims === 3 && this.gd._fullLayout && this.gd._fullLayout.scene) {
        const now = JSON.stringify(this.camera());
        if (now !== last) { last = now; this.marks.paint(); }
      }
      requestAnimationFrame(watch);
    };
    requestAnimationFrame(watch);
  }
}
