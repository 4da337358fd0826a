// Undo and redo of what the person changed: two buttons in the head that say what, and the usual keys outside of fields.

ICONS.undo = "M9 6.500 4.500 11 9 15.500M5 11h9a5 5 0 0 1 0 10h-2.500";
ICONS.redo = "M15 6.500 19.500 11 15 15.500M19 11h-9a5 5 0 0 0 0 10h2.500";

const undo = (() => {
  const ready = (which) => view && view.undo && view.undo[which];

  function walk(which) {
    if (!ready(which)) return null;
    player.stop();
    return act(which, { step: view.undo[which + "_step"] });
  }

  function button(which, none) {
    const says = ready(which) || none;
    return h("button.wn-quiet.wn-undo", { type: "button", "data-undo": which, "aria-label": says, title: says, disabled: !ready(which), onclick: () => walk(which) }, icon(which));
  }

  addTool({
    order: 10,
    key: (now) => now.undo,
    node: (now) => (now.undo && now.story ? h("span.wn-undo-pair", {}, button("undo", T("undo.none")), button("redo", T("undo.none_again"))) : null),
  });

  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.defaultPrevented || isText(event.target)) return;
    const which = key === "z" ? (event.shiftKey ? "redo" : "undo") : key === "y" && !event.shiftKey ? "redo" : null;
    if (!which || !view || view.page !== "room") return;
    event.preventDefault();
    walk(which);
  });

  return { walk };
})();
