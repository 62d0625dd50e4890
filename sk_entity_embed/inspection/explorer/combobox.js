// The search box: a combobox with a list, by the patterns of ARIA.

class Combobox {
  constructor(input, list, status, { search, draw, choose }) {
    Object.assign(this, { input, list, status, search, draw, choose });
    this.found = [];
    this.active = -1;
    input.addEventListener("input", () => this.open());
    input.addEventListener("keydown", (e) => this.key(e));
    input.addEventListener("click", () => { if (list.hidden) this.open(); });
    input.addEventListener("blur", () => this.close());
    // Without this the input loses its focus, and the list closes, before the click arrives.
    list.addEventListener("mousedown", (e) => e.preventDefault());
    list.addEventListener("click", (e) => {
      const option = e.target.closest("[role=option]");
      if (option) this.take(Number(option.dataset.place));
    });
  }

  open() {
    this.found = this.search(this.input.value);
    this.list.replaceChildren(...this.found.map((item, place) => {
      const option = document.createElement("li");
      option.id = `option-${place}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.place = place;
      option.append(...this.draw(item));
      return option;
    }));
    if (!this.found.length) {
      const none = document.createElement("li");
      none.className = "none";
      none.setAttribute("role", "presentation");
      none.textContent = "No category has this in its name";
      this.list.append(none);
    }
    this.list.hidden = false;
    this.list.scrollTop = 0;
    this.input.setAttribute("aria-expanded", "true");
    const n = this.found.length;
    this.status.textContent = n ? `${n} ${n === 1 ? "category" : "categories"} to choose from` : "No category found";
    this.point(-1);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.point(-1);
  }

  point(place) {
    const options = this.list.querySelectorAll("[role=option]");
    if (options[this.active]) options[this.active].setAttribute("aria-selected", "false");
    this.active = place;
    if (!options[place]) return this.input.removeAttribute("aria-activedescendant");
    options[place].setAttribute("aria-selected", "true");
    options[place].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", options[place].id);
  }

  take(place) {
    const item = this.found[place];
    this.close();
    if (item === undefined) return;
    this.input.value = "";
    this.choose(item);
  }

  key(event) {
    const n = this.found.length, shown = !this.list.hidden;
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (!shown) this.open();
      const count = this.found.length;
      if (count) this.point(this.active < 0 ? (step > 0 ? 0 : count - 1) : (this.active + step + count) % count);
    } else if (event.key === "Enter") {
      if (!shown && this.input.value) this.open();
      if (this.found.length && (shown || this.input.value)) this.take(Math.max(this.active, 0));
    } else if (event.key === "Escape") {
      if (!shown) this.input.value = "";
      this.close();
    } else if (event.key === "Tab" && shown && this.active >= 0 && n) {
      this.take(this.active);
      return;
    } else return;
    event.preventDefault();
  }
}
