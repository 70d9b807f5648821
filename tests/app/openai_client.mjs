// The official JavaScript client against a server: argv is the client's entry point and the base URL. Prints
// one JSON object with what it saw.
const [entry, baseURL] = process.argv.slice(2);
const { default: OpenAI } = await import(entry);
const client = new OpenAI({ baseURL, apiKey: "anything", maxRetries: 0 });
const model = "composer-2.5";
const say = (content) => [{ role: "user", content }];
const seen = {};

seen.models = (await client.models.list()).data.map((one) => one.id);
const whole = await client.chat.completions.create({ model, messages: say("hi") });
seen.whole = [whole.choices[0].message.content, whole.choices[0].finish_reason, whole.usage.prompt_tokens];

const deltas = [];
const stream = await client.chat.completions.create({
  model, messages: say("hi"), stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) deltas.push(chunk.choices[0]?.delta.content ?? null);
seen.deltas = deltas;

const helper = client.chat.completions.stream({ model, messages: say("hi") });
seen.helper = (await helper.finalChatCompletion()).choices[0].message.content;

const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
const asked = say("[[scenario:tools for=Paris,Rome]]");
const first = await client.chat.completions.create({ model, messages: asked, tools });
const message = first.choices[0].message;
const results = message.tool_calls.map((call) => ({
  role: "tool", tool_call_id: call.id, content: `in ${JSON.parse(call.function.arguments).city}: sun`,
}));
const second = await client.chat.completions.create({ model, messages: [...asked, message, ...results], tools });
seen.tools = [first.choices[0].finish_reason, second.choices[0].message.content];

const response = await client.responses.create({ model, input: "hi", instructions: "be brief" });
seen.response = [response.output_text, response.status, response.usage.input_tokens];
const next = await client.responses.create({ model, input: "and?", previous_response_id: response.id });
seen.chained = next.previous_response_id === response.id;
seen.kept = (await client.responses.retrieve(next.id)).output_text;
const items = [];
for await (const item of client.responses.inputItems.list(next.id)) items.push(item.content[0].text);
seen.items = items;
await client.responses.delete(next.id);

const events = [];
for await (const event of await client.responses.create({ model, input: "hi", stream: true })) events.push(event.type);
seen.events = events;
seen.final = (await client.responses.stream({ model, input: "hi" }).finalResponse()).output_text;
seen.old = (await client.completions.create({ model, prompt: "hi" })).choices[0].text;

const error = async (work) => {
  try {
    await work();
    return "none";
  } catch (problem) {
    return [problem.constructor.name, problem.status ?? null, problem.code ?? null];
  }
};
const drain = async (made) => {
  for await (const _ of await made);
};
seen.errors = {
  missing: await error(() => client.responses.retrieve(next.id)),
  cancel: await error(() => client.responses.cancel(response.id)),
  model: await error(() => client.chat.completions.create({ model: "gpt-5", messages: say("hi") })),
  several: await error(() => client.chat.completions.create({ model, n: 2, messages: say("hi") })),
  limit: await error(() => client.chat.completions.create({ model, messages: say("[[scenario:rate_limit]]") })),
  chat: await error(() =>
    drain(client.chat.completions.create({ model, stream: true, messages: say("[[scenario:error_midway]]") })),
  ),
  responses: await error(() =>
    drain(client.responses.create({ model, stream: true, input: "[[scenario:error_midway]]" })),
  ),
};
console.log(JSON.stringify(seen));
