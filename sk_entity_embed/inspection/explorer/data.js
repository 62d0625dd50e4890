// What a column holds, and its neighbours.

/** A typed array from base64 of its little-endian bytes. */
function decode(text, Kind) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Kind(bytes.buffer);
}

/** Letters without accents and case, to search by. */
function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase();
}

class Column {
  constructor(raw) {
    Object.assign(this, { name: raw.name, width: raw.width, names: raw.names, missing: raw.missing });
    this.n = raw.names.length;
    this.counts = raw.counts;
    this.unit = [raw.unit, `${raw.unit}s`];
    this.total = raw.counts ? raw.counts.reduce((a, b) => a + b, 0) : null;
    this.largest = raw.counts ? raw.counts.reduce((a, b) => Math.max(a, b), 0) : 0;
    this.methods = Object.keys(raw.projections);
    this.raw = raw;
    this.views = new Map();
    this.targets = raw.targets.map((t) => ({ name: t.name, values: decode(t.values, Float64Array) }));
    this.fields = raw.fields.map((f) => f.kinds
      ? { name: f.name, kinds: f.kinds, codes: decode(f.codes, Int32Array) }
      : { name: f.name, values: decode(f.values, Float64Array) });
    // The most frequent first; of equal counts the first one.
    this.byCount = Uint32Array.from({ length: this.n }, (_, i) => i);
    if (this.counts) this.byCount.sort((a, b) => this.counts[b] - this.counts[a] || a - b);
  }

  get vectors() {
    if (!this.decoded) this.decoded = decode(this.raw.vectors, Float32Array);
    return this.decoded;
  }

  get folded() {
    if (!this.foldedNames) this.foldedNames = this.names.map(fold);
    return this.foldedNames;
  }

  /** How a category reads: names of nothing but spaces would be invisible. */
  text(i) {
    const name = this.names[i];
    if (name === "") return "(empty)";
    return name.trim() === "" ? JSON.stringify(name) : name;
  }

  isOdd(i) {
    return i === this.missing || this.names[i].trim() === "";
  }

  count(i) {
    return this.counts ? this.counts[i] : null;
  }

  /** Coordinates of one axis after the other, and what the axes are. */
  view(method, dims) {
    const key = method + dims;
    if (!this.views.has(key)) {
      const given = this.raw.projections[method];
      const from = given[dims] || given[3];
      const stride = from.axes.length;
      const flat = decode(from.coordinates, Float32Array);
      const axes = [];
      for (let d = 0; d < dims; d++) {
        axes.push(Float32Array.from({ length: this.n }, (_, i) => flat[i * stride + d]));
      }
      this.views.set(key, { axes, names: from.axes.slice(0, dims) });
    }
    return this.views.get(key);
  }

  get norms() {
    if (!this.lengths) {
      const v = this.vectors, w = this.width;
      this.lengths = new Float64Array(this.n);
      for (let i = 0; i < this.n; i++) {
        let sum = 0;
        for (let j = i * w; j < (i + 1) * w; j++) sum += v[j] * v[j];
        this.lengths[i] = Math.sqrt(sum) || 1;
      }
    }
    return this.lengths;
  }

  /** Similarity of two categories; numbers are widened to 64 bits before they are added. */
  similarity(a, b, metric) {
    const v = this.vectors, w = this.width;
    let i = a * w, j = b * w, sum = 0;
    if (metric === "euclidean") {
      for (const end = i + w; i < end; i++, j++) { const d = v[i] - v[j]; sum += d * d; }
      return 1 / (1 + Math.sqrt(sum));
    }
    if (metric === "cosine") {
      const na = this.norms[a], nb = this.norms[b];
      for (const end = i + w; i < end; i++, j++) sum += (v[i] / na) * (v[j] / nb);
      return sum;
    }
    for (const end = i + w; i < end; i++, j++) sum += v[i] * v[j];
    return sum;
  }

  distance(a, b) {
    const v = this.vectors, w = this.width;
    let sum = 0;
    for (let d = 0; d < w; d++) sum += (v[a * w + d] - v[b * w + d]) ** 2;
    return Math.sqrt(sum);
  }

  /** The k categories most similar to another, of at least `least` rows or items; ties in their order. */
  neighbours(query, k, metric, least) {
    const best = [];
    for (let i = 0; i < this.n; i++) {
      if (i === query || (this.counts && this.counts[i] < least)) continue;
      const similarity = this.similarity(query, i, metric);
      if (best.length === k && similarity <= best[k - 1].similarity) continue;
      let at = best.length;
      while (at > 0 && best[at - 1].similarity < similarity) at--;
      best.splice(at, 0, { index: i, similarity });
      if (best.length > k) best.pop();
    }
    return best.map((b) => ({ ...b, distance: metric === "euclidean" ? this.distance(query, b.index) : null }));
  }

  /** Categories whose name begins with, and then those whose name contains, what was typed. */
  search(typed, limit) {
    const wanted = fold(typed.trim()), names = this.folded;
    if (!wanted) return typed.trim() ? [] : Array.from(this.byCount.subarray(0, limit));
    const first = [], then = [];
    for (const i of this.byCount) {
      const at = names[i].indexOf(wanted);
      if (at === 0) { if (first.push(i) === limit) break; }
      else if (at > 0 && then.length < limit) then.push(i);
    }
    return first.concat(then).slice(0, limit);
  }
}

/** A table as text by RFC 4180, with a byte-order mark so that spreadsheets read it as UTF-8. */
function csv(rows) {
  return "\uFEFF" + rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** One cell. Text that a spreadsheet would run as a formula is preceded by an apostrophe. */
function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const plain = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value);
  const text = !plain && /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(value) ? "'" + value : value;
  return text === "" || /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

/** What is known of categories, for a CSV file; `extra` adds columns. */
function tableOf(column, indices, method, dims, extra = []) {
  const view = column.view(method, dims);
  const head = ["category", ...extra.map((e) => e.name)];
  if (column.counts) head.push("count");
  head.push(...view.names, ...column.targets.map((t) => t.name), ...column.fields.map((f) => f.name));
  const rows = indices.map((i, r) => {
    const row = [i === column.missing ? null : column.names[i], ...extra.map((e) => e.values[r])];
    if (column.counts) row.push(column.counts[i]);
    // The shortest number that is the same in 32 bits.
    row.push(...view.axes.map((axis) => Number(axis[i].toPrecision(9))));
    row.push(...column.targets.map((t) => t.values[i]));
    row.push(...column.fields.map((f) => (f.kinds ? (f.codes[i] < 0 ? null : f.kinds[f.codes[i]]) : f.values[i])));
    return row;
  });
  return csv([head, ...rows]);
}
