// Where a password was asked for, there is a way out: a form, so that it works like any other one.

addTool({
  order: 95,
  key: (now) => Boolean(now.guarded),
  node: (now) => (now.guarded
    ? h("form.wn-leave", { method: "post", action: "/logout" }, h("button.wn-quiet", { type: "submit" }, T("safety.leave")))
    : null),
});
