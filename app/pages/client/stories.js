// The shelf: all stories, page by page, in the order that one likes; rename, duplicate, throw away, bring back, erase.

ICONS.more = "M6 12h.01M12 12h.01M18 12h.01";

const stories = (() => {
  const orders = ["changed", "opened", "title"];
  let shown = "";
  let pages = 1; // of the shelf that are unfolded
  let size = 24;

  function when(stamp) {
    const minutes = (Date.now() - new Date(stamp)) / 60000;
    if (minutes < 2) return T("shelf.just_now");
    if (minutes < 60) return T("shelf.minutes_ago", { n: Math.round(minutes) });
    if (minutes < 36 * 60) return T("shelf.hours_ago", { n: Math.round(minutes / 60) });
    return T("shelf.days_ago", { n: Math.round(minutes / 1440) });
  }

  async function copyLink(story) {
    const link = location.origin + location.pathname + "?story=" + encodeURIComponent(story.id);
    tell({ kind: "info", text: T((await toClipboard(link)) ? "library.link_copied" : "library.not_copied") });
  }

  // A small list behind three dots; closes by Escape, by a choice, and when the keyboard or a finger goes elsewhere.
  function menu(story) {
    const item = (text, does) => h("li", {}, h("button", { type: "button", onclick: () => { node.open = false; does(); } }, text));
    const node = h("details.wn-menu", {},
      h("summary.wn-mini", { "aria-label": T("library.more", { title: story.title }), title: T("library.more", { title: story.title }) }, icon("more")),
      h("ul", {},
        item(T("library.duplicate"), () => act("duplicate", { story: story.id })),
        item(T("library.copy_link"), () => copyLink(story)),
        item(T("library.clear_story"), () => library.clear(story.id))));
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !node.open) return;
      node.open = false;
      node.firstChild.focus();
      event.stopPropagation();
    });
    node.addEventListener("focusout", (event) => { if (!node.contains(event.relatedTarget)) node.open = false; });
    return node;
  }

  function card(story) {
    const name = h("span.wn-book-title", {}, story.title);
    const open = h("button.wn-book", { type: "button", onclick: () => act("open", { story: story.id, scene: null }) },
      story.cover ? h("img", { src: media(story.cover), alt: "", loading: "lazy" }) : h("span.wn-blank", {}),
      name, h("span.wn-small", {}, T("shelf.num_scenes", { n: story.scenes }) + " · " + when(story.updated)));
    const rename = h("button.wn-mini", { type: "button", "aria-label": T("shelf.rename_story", { title: story.title }), title: T("shelf.rename"), onclick: () => edit() }, icon("pencil"));
    const bin = h("button.wn-mini", { type: "button", "aria-label": T("shelf.throw_away_story", { title: story.title }), title: T("shelf.throw_away"), onclick: () => act("trash", { story: story.id }) }, icon("bin"));
    const item = h("li", {}, open, h("div.wn-book-tools", {}, rename, menu(story), bin));

    function edit() {
      const field = h("input.wn-rename", { type: "text", value: story.title, maxlength: 120, "aria-label": T("shelf.new_title") });
      let over = false;
      const done = (keep) => {
        if (over) return;
        over = true;
        const title = field.value.trim();
        field.remove();
        if (keep && title && title !== story.title) act("rename", { story: story.id, title, was: story.title });
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

  function latest(story) {
    return h("button.wn-latest", { type: "button", onclick: () => act("open", { story: story.id, scene: null }) },
      story.cover ? h("img", { src: media(story.cover), alt: "" }) : h("span.wn-blank", {}),
      h("span.wn-latest-text", {}, h("span.wn-kicker", {}, T("library.go_on")), h("span.wn-book-title", {}, story.title),
        h("span.wn-small", {}, T("shelf.num_scenes", { n: story.scenes }))), icon("forth"));
  }

  function sorting(now) {
    const choice = h("select", { id: "wn-sort", onchange: () => { pages = 1; act("sort_shelf", { order: choice.value }); } },
      orders.map((order) => h("option", { value: order, selected: order === now.shelf.order }, T("library.sort_" + order))));
    return h("div.wn-sort", {}, h("label", { for: "wn-sort" }, T("library.sort")), choice);
  }

  function trash(now) {
    return h("details.wn-trash", {}, h("summary", {}, T("shelf.trash", { n: now.trashed })),
      h("ul", {}, now.trash.map((story) => h("li", {}, h("span.wn-grow", {}, story.title),
        h("button.wn-link", { type: "button", onclick: () => act("restore", { story: story.id }) }, T("shelf.bring_back")),
        h("button.wn-link.wn-erase", { type: "button", "aria-label": T("wander.erase_of", { what: story.title }), onclick: () => thrown.erase("story", { story: story.id, scene: null }) }, T("wander.erase"))))));
  }

  async function unfold(grid, more, count) {
    const before = grid.children.length;
    const found = await ask("shelf", { offset: before, limit: size });
    if (!found || !grid.isConnected || grid.children.length !== before) return;
    grid.append(...found.stories.map(card));
    told(grid, more, count);
  }

  function told(grid, more, count) {
    more.hidden = grid.children.length >= count;
    more.firstChild.textContent = T("library.shown", { n: grid.children.length, count });
  }

  async function refold(grid, more, count) {
    for (let page = 1; page < pages && grid.children.length < count; page += 1) await unfold(grid, more, count);
  }

  function draw(shelf, now) {
    const key = JSON.stringify([now.stories, now.shelf, now.latest, now.trash, now.trashed, now.waiting]);
    if (key === shown) return;
    shown = key;
    size = Math.max(now.stories.length, 1);
    const any = now.stories.length > 0;
    const parts = [h("div.wn-shelf-head", {}, h("h2", { id: "wn-shelf" }, T(any ? "shelf.yours" : "shelf.empty")), any || now.trashed ? finder.node : null, now.shelf.count > 1 ? sorting(now) : null)];
    const rest = [];
    if (now.waiting.length) {
      rest.push(h("ul.wn-undecided", {}, now.waiting.map((one) => h("li", {}, icon("picture"), h("span", {}, T("shelf.waits", { name: one.name })),
        h("button.wn-link", { type: "button", onclick: () => look({ reading: one.job }) }, T("shelf.go_on"))))));
    }
    if (now.latest && now.shelf.count > 1) rest.push(latest(now.latest));
    if (any) {
      const grid = h("ul.wn-books", {}, now.stories.map(card));
      const more = h("div.wn-show-more", {}, h("span.wn-small", {}, ""),
        h("button.wn-second", { type: "button", onclick: () => { pages += 1; unfold(grid, more, now.shelf.count); } }, T("library.show_more")));
      rest.push(grid, more);
      told(grid, more, now.shelf.count);
      if (pages > 1) refold(grid, more, now.shelf.count);
    } else rest.push(h("p.wn-lead", {}, T("shelf.empty_hint")));
    if (now.trashed) rest.push(trash(now));
    const box = h("div.wn-shelf-rest", {}, rest);
    const focus = finder.node.contains(document.activeElement) ? document.activeElement : null;
    shelf.replaceChildren(...parts, finder.results, box);
    finder.instead(box);
    if (focus) focus.focus();
  }

  return { draw };
})();
