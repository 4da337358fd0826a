// The shelf: all stories, newest first; rename, throw away, bring back.

const stories = (() => {
  let shown = "";

  function when(stamp) {
    const minutes = (Date.now() - new Date(stamp)) / 60000;
    if (minutes < 2) return T("shelf.just_now");
    if (minutes < 60) return T("shelf.minutes_ago", { n: Math.round(minutes) });
    if (minutes < 36 * 60) return T("shelf.hours_ago", { n: Math.round(minutes / 60) });
    return T("shelf.days_ago", { n: Math.round(minutes / 1440) });
  }

  function card(story) {
    const name = h("span.wn-book-title", {}, story.title);
    const open = h("button.wn-book", { type: "button", onclick: () => act("open", { story: story.id, scene: null }) },
      story.cover ? h("img", { src: media(story.cover), alt: "", loading: "lazy" }) : h("span.wn-blank", {}),
      name, h("span.wn-small", {}, T("shelf.num_scenes", { n: story.scenes }) + " · " + when(story.updated)));
    const rename = h("button.wn-mini", { type: "button", "aria-label": T("shelf.rename_story", { title: story.title }), title: T("shelf.rename"), onclick: () => edit() }, icon("pencil"));
    const bin = h("button.wn-mini", { type: "button", "aria-label": T("shelf.throw_away_story", { title: story.title }), title: T("shelf.throw_away"), onclick: () => act("trash", { story: story.id }) }, icon("bin"));
    const tools = h("div.wn-book-tools", {}, rename, bin);
    const item = h("li", {}, open, tools);

    function edit() {
      const field = h("input.wn-rename", { type: "text", value: story.title, maxlength: 120, "aria-label": T("shelf.new_title") });
      let over = false;
      const done = (keep) => {
        if (over) return;
        over = true;
        const title = field.value.trim();
        field.remove();
        if (keep && title && title !== story.title) act("rename", { story: story.id, title });
        else rename.focus();
      };
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter") done(true);
        if (event.key === "Escape") done(false);
        event.stopPropagation();
      });
      field.addEventListener("blur", () => done(true));
      item.append(field);
      field.select();
      field.focus();
    }
    return item;
  }

  function draw(shelf, now) {
    const key = JSON.stringify([now.stories, now.trash, now.waiting]);
    if (key === shown) return;
    shown = key;
    const parts = [h("h2", { id: "wn-shelf" }, T(now.stories.length ? "shelf.yours" : "shelf.empty"))];
    if (now.waiting.length) {
      parts.push(h("ul.wn-undecided", {}, now.waiting.map((one) => h("li", {}, icon("picture"), h("span", {}, T("shelf.waits", { name: one.name })),
        h("button.wn-link", { type: "button", onclick: () => look({ reading: one.job }) }, T("shelf.go_on"))))));
    }
    if (now.stories.length) parts.push(h("ul.wn-books", {}, now.stories.map(card)));
    else parts.push(h("p.wn-lead", {}, T("shelf.empty_hint")));
    if (now.trash && now.trash.length) {
      parts.push(h("details.wn-trash", {}, h("summary", {}, T("shelf.trash", { n: now.trash.length })),
        h("ul", {}, now.trash.map((story) => h("li", {}, h("span", {}, story.title),
          h("button.wn-link", { type: "button", onclick: () => act("restore", { story: story.id }) }, T("shelf.bring_back")))))));
    }
    shelf.replaceChildren(...parts);
  }

  return { draw };
})();
