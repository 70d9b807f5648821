// What every page has: copying, what is said in passing, and where the focus goes when a part is replaced.

const TOAST_FOR = 6000; // milliseconds

export function toast(text) {
  const said = document.createElement("p");
  said.className = "toast";
  said.textContent = text;
  document.getElementById("toasts").append(said);
  setTimeout(() => said.remove(), TOAST_FOR);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  let done = false;
  try {
    await navigator.clipboard.writeText(source.textContent);
    done = true;
  } catch {
    // A web view may have no clipboard for pages without TLS; the older way needs a selection.
    getSelection().selectAllChildren(source);
    done = document.execCommand("copy");
  }
  toast(done ? "Copied." : "It could not be copied; it is selected.");
}

/** Move what the server said into the region that is read out, and out of the address. */
function hear() {
  for (const said of document.querySelectorAll("main [data-toast]")) {
    toast(said.textContent);
    said.remove();
  }
  const address = new URL(location.href);
  if (address.searchParams.has("said")) {
    address.searchParams.delete("said");
    history.replaceState(history.state, "", address);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

// A form that is sent the plain way shows that it waits, too, and is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.classList.contains("waiting")) event.preventDefault();
  else if (!form.hasAttribute("hx-post") && form.method === "post") form.classList.add("waiting");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form.waiting")) form.classList.remove("waiting");
});

document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx.request.method !== "POST") return; // a look at the state disturbs nobody
  hear();
  const main = document.getElementById("main");
  const next = main.querySelector("[autofocus]");
  (next ?? main).focus({ preventScroll: true });
  if (!next) scrollTo({ top: 0 });
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.request.method === "POST") toast("The app does not answer. Does it still run?");
});

hear();
const live = document.querySelector("[data-events]");
if (live) (await import("./activity.js")).watch(live);
