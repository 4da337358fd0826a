// About this story: three short texts that hold for all of it. Kept when the field is left; undone in place.

ICONS.about = "M5 4.500h9.500L19 9v10.500H5zM14 4.500V9.500h5M8.500 13h7m-7 3h5";

const bible = (() => {
  function note(one, now) {
    if (!now.small || !one.text) return null;
    if (!one.unread.length) return h("p.wn-bible-read", {}, T("bible.all_known"));
    return h("p.wn-bible-unread", {}, T("bible.some_unknown", { n: one.unread.length, what: one.unread.join(" · ") }));
  }

  function part(one, now, again) {
    const id = "wn-bible-" + one.name;
    let kept = one.text; // as the server has it
    const says = h("span.wn-small", { role: "status" });
    const left = h("span.wn-small", { id: id + "-left" });
    const undo_ = h("button.wn-link", { type: "button", hidden: true }, T("bible.undo"));
    const under = h("div", {}, note(one, now));
    const field = h("textarea", { id, rows: one.name === "look" ? 2 : 3, maxlength: now.most, value: one.text, placeholder: T("bible." + one.name + "_hint"), "aria-describedby": id + "-left" });
    const count = () => { left.textContent = field.value.length > now.most * 0.8 ? T("bible.left", { n: now.most - field.value.length }) : ""; };

    async function keep(text, word) {
      const was = kept;
      if (text.trim() === was) return;
      const answer = await act("bible", { field: one.name, text, was });
      if (!answer || (answer.notice && answer.notice.kind === "error")) {
        if (!answer) return;
        const fresh = await ask("bible"); // what another window wrote; what was typed here stays in the field
        if (fresh) kept = fresh.fields.find((each) => each.name === one.name).text;
        says.textContent = answer.notice.text;
        return;
      }
      kept = text.trim();
      says.textContent = T(word);
      undo_.hidden = false;
      undo_.onclick = () => {
        field.value = was;
        undo_.hidden = true;
        field.focus();
        keep(was, "bible.undone").then(() => { undo_.hidden = true; });
      };
      const fresh = await ask("bible");
      const mine = fresh && fresh.fields.find((each) => each.name === one.name);
      if (mine) under.replaceChildren(...[note(mine, fresh)].filter(Boolean));
    }
    field.addEventListener("input", () => { count(); says.textContent = ""; });
    field.addEventListener("blur", () => keep(field.value, "bible.saved"));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) field.blur();
    });
    count();
    return h("div.wn-bible-part", {}, h("label", { for: id }, T("bible." + one.name)), field, h("div.wn-row", {}, says, undo_, h("span.wn-grow", {}), left), under);
  }

  async function fill(body) {
    const now = await ask("bible");
    if (!now || !drawer.shows("bible")) return;
    body.replaceChildren(h("p", {}, T("bible.lead")), ...now.fields.map((one) => part(one, now)),
      now.small ? h("div.wn-bible-small", {}, h("p", {}, T("bible.small")), h("ul.wn-known", {}, now.examples.map((one) => h("li", {}, one)))) : "");
  }

  function open() {
    if (view.story) drawer.open("bible", T("bible.title"), (body) => { fill(body); });
  }

  addTool({ order: 30, key: (now) => now.story && now.story.id, node: (now) => (now.story ? h("button.wn-quiet", { type: "button", "aria-label": T("bible.tool"), title: T("bible.tool"), onclick: open }, icon("about"), h("span", {}, T("bible.tool"))) : null) });
  addKey("b", "bible.tool", () => open());
  return { open };
})();
