// Requests as they run: the server sends a row or the day's sums, drawn as in the page, and they replace the old.

const ROWS = 200;
const AGAIN_AFTER = 2000; // milliseconds: more happens than can be shown one by one

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

function putRow(html) {
  const row = element(html);
  const old = document.getElementById(row.id);
  const rows = document.getElementById("rows");
  if (old) old.replaceWith(row);
  else rows.prepend(row);
  while (rows.children.length > ROWS) rows.lastElementChild.remove();
  document.getElementById("no-calls").hidden = true;
}

function putSums(html) {
  const sums = document.getElementById("sums");
  const open = sums.querySelector("details").open;
  const fresh = element(html);
  fresh.querySelector("details").open = open;
  if (sums.contains(document.activeElement)) return; // who reads the table is not thrown out of it
  sums.replaceWith(fresh);
}

function tick() {
  for (const row of document.querySelectorAll("tr[data-began]")) {
    const seconds = Math.max(0, Date.now() / 1000 - Number(row.dataset.began));
    row.querySelector("[data-took]").textContent = `${seconds.toFixed(1)} s`;
  }
}

export function watch(live) {
  const state = live.querySelector("[data-live]");
  const events = new EventSource(live.dataset.events);
  events.addEventListener("row", (event) => putRow(JSON.parse(event.data)));
  events.addEventListener("sums", (event) => putSums(JSON.parse(event.data)));
  events.addEventListener("again", () => setTimeout(() => location.reload(), AGAIN_AFTER));
  events.addEventListener("open", () => (state.textContent = "live"));
  events.addEventListener("error", () => (state.textContent = "not connected"));
  const timer = setInterval(tick, 100);
  addEventListener("pagehide", () => {
    events.close();
    clearInterval(timer);
  });
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
