// Keeps one page and answers with it when nobody is there; everything else goes its way as if this script were not there.
// Nothing of a story is ever kept by it. VERSION is filled in by app/pages/installed.py.
const SHELF = "offline-VERSION";
self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(SHELF).then((shelf) => shelf.add(new Request("/offline", { cache: "reload" }))));
});
self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("offline-") && name !== SHELF;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))));
});
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  event.respondWith(fetch(event.request).catch(() => caches.match("/offline").then((page) => page || Response.error())));
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.matchAll({ type: "window" }).then((pages) => pages.length && pages[0].focus()));
});
