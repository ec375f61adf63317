
"use strict";
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
  const order = new Intl.Collator("en", { numeric: true });
  const status = document.getElementById("status");

  const count = (number) => number.toLocaleString("en");
  const visible = () => rows.filter((row) => !row.hidden).length;
  const tell = (sorted) => {
    status.textContent = `${count(visible())} of ${count(rows.length)} slides shown${sorted}`;
  };

  const compare = (column, sign) => (one, other) => {
    if (column === 0) {
      return sign * order.compare(one.cells[0].textContent, other.cells[0].textContent);
    }
    const [first, second] = [one, other].map((row) => row.cells[column].dataset.key);
    // What has no value comes last in either order.
    if (first === "" || second === "") return (first === "") - (second === "");
    return sign * (Number(first) - Number(second));
  };

  const sortBy = (column) => {
    const heading = headings[column];
    const before = heading.getAttribute("aria-sort");
    const ascending = before === "none" ? column === 0 : before === "descending";
    for (const other of headings) other.setAttribute("aria-sort", "none");
    const now = ascending ? "ascending" : "descending";
    heading.setAttribute("aria-sort", now);
    body.append(...rows.slice().sort(compare(column, ascending ? 1 : -1)));
    tell(`, sorted by ${heading.textContent}, ${now}`);
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortBy(column));
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
  });

  const name = document.getElementById("name");
  const only = document.getElementById("only");
  const narrow = () => {
    const wanted = name.value.trim().toLocaleLowerCase("en");
    for (const row of rows) {
      const named = row.cells[0].textContent.toLocaleLowerCase("en").includes(wanted);
      const kind = only.value === "" || row.dataset.filters.split(" ").includes(only.value);
      row.hidden = !(named && kind);
      const gallery = row.dataset.gallery && document.getElementById(row.dataset.gallery);
      if (gallery) gallery.hidden = row.hidden;
    }
    tell("");
  };
  name.addEventListener("input", narrow);
  only.addEventListener("change", narrow);
  const controls = document.getElementById("controls");
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
  narrow();

  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const show = () => {
    theme.textContent = dark() ? "Light colours" : "Dark colours";
  };
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  theme.hidden = false;
  show();
})();
