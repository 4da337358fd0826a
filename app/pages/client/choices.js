// What was noted of a person's choices: on or off, what there is, to take along, to erase. A part of help and settings.

const noted = (() => {
  const date = (stamp) => new Date(stamp).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

  async function erase(which, text, again) {
    if (!(await sure(T("choices.erase_sure"), text, T("wander.erase")))) return;
    await act("erase_choices", { which });
    again();
  }

  function list(now, again) {
    const items = h("ul.wn-noted", {});
    const more = h("button.wn-quiet", { type: "button", onclick: () => unfold() }, T("choices.more"));
    const put = (found) => {
      items.append(...found.list.map((one) => h("li", {}, h("span", {}, given(one.text)), h("span.wn-small", {}, given(one.story + " · " + date(one.at))))));
      more.hidden = items.children.length >= found.total;
    };
    async function unfold() {
      const found = await ask("choices", { offset: items.children.length });
      if (found && items.isConnected) put(found);
    }
    put(now);
    return h("details.wn-more", {}, h("summary", {}, T("choices.list")), items, more,
      h("h4.wn-small", {}, T("choices.by_story")),
      h("ul.wn-noted", {}, now.stories.map((one) => h("li", {}, h("div.wn-row", {}, h("span.wn-grow", {}, given(one.title), h("span.wn-small", {}, " · " + T("choices.total", { n: one.n }))),
        h("button.wn-link.wn-erase", { type: "button", "aria-label": T("choices.erase_of", { title: one.title }), onclick: () => erase(one.id, T("choices.erase_of", { title: one.title }), again) }, T("wander.erase")))))));
  }

  async function fill(box) {
    const now = await ask("choices");
    if (!now || !box.isConnected) return;
    const again = () => fill(box);
    const pick = h("input", { type: "checkbox", id: "wn-noting", onchange: async () => { await act("note_choices", { on: pick.checked }); again(); } });
    pick.checked = now.on;
    const hadFocus = box.contains(document.activeElement) && document.activeElement.id === "wn-noting";
    box.replaceChildren(h("p.wn-small", {}, T("choices.lead")), h("p", {}, pick, " ", h("label", { for: "wn-noting" }, T("choices.note"))),
      h("p.wn-small", { role: "status" }, now.total ? given(now.kinds.join(" · ")) : T("choices.none")),
      ...(now.total ? [list(now, again), h("div.wn-row", {}, h("a.wn-second", { href: "/choices.zip", download: "" }, T("choices.take")),
        h("button.wn-link.wn-erase", { type: "button", onclick: () => erase(null, T("choices.erase_all_text", { n: now.total }), again) }, T("choices.erase_all")))] : []));
    if (hadFocus) pick.focus();
  }

  function section() {
    const box = h("div", {});
    setTimeout(() => fill(box)); // once it is in the page
    return h("section", {}, h("h3", {}, T("choices.title")), box);
  }
  return { section };
})();
