// Search as one types: while something is looked for, what is found stands where the shelf was.

ICONS.search = "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zm5-1.500L20 20";

const finder = (() => {
  const field = h("input.wn-search", { type: "search", id: "wn-search", maxlength: 100, autocomplete: "off", spellcheck: "false", "aria-label": T("library.search"), placeholder: T("library.search"), title: T("library.search_hint") });
  const inTrash = h("input", { type: "checkbox", id: "wn-search-trash" });
  const trashBox = h("div.wn-check", { hidden: true }, inTrash, h("label", { for: "wn-search-trash" }, T("library.search_trash")));
  const node = h("form.wn-finder", { role: "search", onsubmit: (event) => { event.preventDefault(); find(); } }, icon("search"), field);
  const results = h("div.wn-found", { hidden: true });
  let shelf = null;
  let timer = null;
  let latest = 0;

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, 150);
  });
  inTrash.addEventListener("change", () => find());
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && field.value) {
      field.value = "";
      find();
    }
    event.stopPropagation();
  });

  function instead(box) {
    shelf = box;
    if (field.value.trim()) find();
    else rest();
  }

  function rest() {
    latest += 1;
    results.hidden = true;
    results.replaceChildren();
    trashBox.hidden = true;
    if (shelf) shelf.hidden = false;
  }

  async function find() {
    clearTimeout(timer);
    const query = field.value.trim();
    if (!query) return rest();
    const mine = ++latest;
    const found = await ask("search", { query, trashed: inTrash.checked });
    if (!found || mine !== latest) return;
    draw(found);
  }

  function draw(found) {
    const n = found.hits.length;
    const text = n ? T(found.more ? "library.found_more" : "library.found", { n }) : T("library.found_none", { query: found.query });
    trashBox.hidden = false;
    results.replaceChildren(h("div.wn-found-head", {}, h("p.wn-small", {}, text), trashBox), h("ul", {}, found.hits.map(hit)));
    results.hidden = false;
    if (shelf) shelf.hidden = true;
    announce(text);
  }

  function hit(one) {
    const words = h("span.wn-found-words", {}, one.pieces.map(([text, here]) => (here ? h("mark", {}, text) : text)));
    const inside = [
      one.thumb ? h("img", { src: media(one.thumb), alt: "", loading: "lazy" }) : h("span.wn-blank", {}),
      h("span.wn-found-text", {}, h("span.wn-found-where", {}, h("strong", {}, one.title), one.where ? " · " + one.where : "", h("span.wn-small", {}, " · " + one.field)), words),
    ];
    if (!one.trashed) return h("li", {}, h("button.wn-hit", { type: "button", onclick: () => act("open", { story: one.story, scene: one.scene }) }, inside));
    const back = one.scene
      ? () => act("restore", { story: one.story, scene: null }).then(() => act("restore_scene", { story: one.story, scene: null, which: one.scene }))
      : () => act("restore", { story: one.story, scene: null });
    return h("li", {}, h("div.wn-hit", {}, inside, h("button.wn-second", { type: "button", onclick: back }, T("shelf.bring_back"))));
  }

  return { node, results, instead };
})();
