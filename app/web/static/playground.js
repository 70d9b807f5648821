// A chat with /v1/chat/completions, streamed. What is said lives in this page alone and is shown as text only.

const talk = document.getElementById("talk");
const form = document.getElementById("say");
const text = document.getElementById("text");
const model = document.getElementById("model");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const empty = document.getElementById("nothing");
const said = [];
const NEAR = 150; // pixels
let running = null;

function turn(kind, words = "") {
  empty.hidden = true;
  const made = document.createElement("div");
  made.className = kind;
  made.textContent = words;
  talk.append(made);
  follow(true);
  return made;
}

/** Keep the newest words in sight, unless the reader has gone back to older ones. */
function follow(always = false) {
  const below = document.documentElement.scrollHeight - innerHeight - scrollY;
  if (always || below < NEAR) scrollTo({ top: document.documentElement.scrollHeight });
}

/** The data of each server-sent event of a response, and the event's name. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n");
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      yield { name: field("event") ?? "message", data: field("data") ?? "" };
    }
  }
}

async function answer(shown) {
  const began = performance.now();
  let first = null;
  let usage = null;
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: model.value,
      messages: said,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal: running.signal,
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  for await (const { name, data } of events(response)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (name === "error") throw new Error(chunk.error.message);
    const words = chunk.choices[0]?.delta.content;
    if (words) {
      first ??= performance.now() - began;
      shown.append(words);
      follow();
    }
    usage = chunk.usage ?? usage;
  }
  return { first, took: performance.now() - began, usage };
}

const time = (ms) => (ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`);

function summary({ first, took, usage }) {
  const parts = [time(took)];
  if (first !== null) parts.push(`first words after ${time(first)}`);
  if (usage) parts.push(`${usage.prompt_tokens} + ${usage.completion_tokens} tokens`);
  if (usage?.cost) parts.push(`$${usage.cost.total_usd.toFixed(5)}`);
  return parts.join(" · ");
}

async function ask(words) {
  said.push({ role: "user", content: words });
  turn("turn user", words);
  const shown = turn("turn model waiting");
  busy(true);
  try {
    turn("meta", summary(await answer(shown)));
  } catch (error) {
    if (error.name === "AbortError") turn("meta", "Stopped.");
    else turn("turn bad", error.message).setAttribute("role", "alert");
  } finally {
    shown.classList.remove("waiting");
    if (shown.textContent) said.push({ role: "assistant", content: shown.textContent });
    else {
      shown.remove();
      said.pop(); // an unanswered question is not asked again with the next
    }
    busy(false);
  }
}

function busy(on) {
  running = on ? new AbortController() : null;
  talk.setAttribute("aria-busy", on); // so that an answer is read out when it is whole
  send.hidden = on;
  stop.hidden = !on;
  if (on) stop.focus();
  else text.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (!words || running) return;
  text.value = "";
  ask(words);
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
stop.addEventListener("click", () => running?.abort());
document.getElementById("clear").addEventListener("click", () => {
  running?.abort();
  said.length = 0;
  for (const child of [...talk.children]) if (child !== empty) child.remove();
  empty.hidden = false;
  text.focus();
});
