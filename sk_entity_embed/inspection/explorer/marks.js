// What lies above the points: names, and rings around a category and its neighbours.

class Marks {
  constructor(plot, canvas) {
    Object.assign(this, { plot, canvas, query: -1, near: [], pending: 0 });
  }

  set(query, near) {
    Object.assign(this, { query, near });
    if (this.plot.view && query >= 0) this.plot.uncover(query);
    this.redraw();
  }

  redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  }

  paint() {
    if (!this.plot.view || !this.plot.gd._fullLayout) return;
    const { width, height } = this.plot.size(), ratio = window.devicePixelRatio || 1, canvas = this.canvas;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(document.documentElement);
    const ink = { ground: "--ground", ink: "--ink", accent: "--accent", text: "--accent-ink" };
    for (const name in ink) ink[name] = style.getPropertyValue(ink[name]).trim();
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const where = this.plot.projector();
    this.paintMarks(g, where, ink);
    this.paintNames(g, where, ink, width, height);
  }

  paintMarks(g, where, ink) {
    const { query, near } = this, at = query >= 0 ? where(query) : null;
    if (query < 0) return;
    g.strokeStyle = ink.accent;
    for (const i of near) {
      const there = where(i);
      if (!there || !at) continue;
      g.globalAlpha = 0.35;
      g.lineWidth = 1;
      g.beginPath();
      g.moveTo(at[0], at[1]);
      g.lineTo(there[0], there[1]);
      g.stroke();
    }
    g.globalAlpha = 1;
    for (const i of near) this.ring(g, where(i), this.plot.radius(i) + 3, 2, ink);
    this.ring(g, at, this.plot.radius(query) + 4.5, 3.5, ink);
  }

  ring(g, at, radius, width, ink) {
    if (!at) return;
    for (const [colour, w] of [[ink.ground, width + 2.5], [ink.accent, width]]) {
      g.strokeStyle = colour;
      g.lineWidth = w;
      g.beginPath();
      g.arc(at[0], at[1], radius, 0, 2 * Math.PI);
      g.stroke();
    }
  }

  paintNames(g, where, ink, width, height) {
    // Controls lie over the corners.
    const taken = [[0, 0, 270, 62], [width - 170, height - 30, width, height]];
    g.lineJoin = "round";
    g.textBaseline = "middle";
    const seen = (at) => at && at[0] >= 0 && at[1] >= 0 && at[0] <= width && at[1] <= height;
    const crowd = this.plot.shown.length > 2000 ? [] : Array.from(this.plot.shown, where).filter(seen);
    const write = (i, at, font, colour, always) => {
      const name = this.plot.column.text(i).replace(/\s+/g, " ").trim() || "(empty)";
      const text = name.length > 30 ? Array.from(name).slice(0, 28).join("") + "\u2026" : name;
      g.font = font;
      const w = g.measureText(text).width, gap = this.plot.radius(i) + (always ? 8 : 4);
      const places = [[at[0] + gap, at[1]], [at[0] - gap - w, at[1]], [at[0] - w / 2, at[1] - gap - 8], [at[0] - w / 2, at[1] + gap + 8]];
      const fits = ([x, y]) => x >= 2 && y >= 9 && x + w <= width - 2 && y <= height - 9
        && !taken.some((b) => x < b[2] && x + w > b[0] && y - 8 < b[3] && y + 8 > b[1]);
      let place, least = 2; // covering one point is better than no name
      for (const p of places.filter(fits)) {
        const covered = crowd.filter(([x, y]) => x > p[0] - 3 && x < p[0] + w + 3 && Math.abs(y - p[1]) < 9).length;
        if (covered < least || (always && !place)) { place = p; least = covered; }
      }
      if (!place && always) place = [Math.min(Math.max(at[0] + gap, 2), width - w - 2), Math.min(Math.max(at[1], 9), height - 9)];
      if (!place) return false;
      taken.push([place[0] - 3, place[1] - 8, place[0] + w + 3, place[1] + 8]);
      g.strokeStyle = ink.ground;
      g.lineWidth = 4;
      g.strokeText(text, ...place);
      g.fillStyle = colour;
      g.fillText(text, ...place);
      return true;
    };
    const { query, near } = this, family = getComputedStyle(document.body).fontFamily;
    const done = new Set([query, ...near]);
    const own = query >= 0 ? where(query) : null;
    if (seen(own)) write(query, own, `700 14px ${family}`, ink.text, true);
    for (const i of near) { const at = where(i); if (seen(at)) write(i, at, `600 12px ${family}`, ink.text, false); }
    if (!this.plot.state.named) return;
    const limit = Math.min(Math.max(Math.floor((width * height) / 18000), 8), 40);
    let written = 0, tried = 0;
    for (const i of this.plot.column.byCount) {
      if (written >= limit || tried > 250) break;
      if (!this.plot.isShown[i] || done.has(i)) continue;
      const at = where(i);
      if (!seen(at)) continue;
      tried++;
      written += write(i, at, `12px ${family}`, ink.ink, false);
    }
  }
}
