// Cursor's backend can ask a local agent to run shell commands, write files, fetch URLs and more, and the SDK
// obeys at once. This app offers a model, not an agent: nothing of that may happen. The one place every such
// request must pass is the decoding of `agent.v1.ExecServerMessage`, so that is where all but a few harmless
// kinds are turned into an unknown kind. The SDK then answers by itself that it has no handler, and the run
// goes on. It is a list of what is allowed: a kind that a later SDK adds is refused without a change here.
//
// It only works on the copy of @bufbuild/protobuf that the SDK uses: both must come from the same bundle, and
// this module must be loaded before the first message. `vouch()` lets the caller check exactly that.
import { proto3 } from '@bufbuild/protobuf';

const EXEC = 'agent.v1.ExecServerMessage';
const CUSTOM_TOOLS = 'custom-user-tools'; // the SDK's name for tools that are callbacks of this process

// Answered from static or our own data.
const HARMLESS = new Set(['requestContextArgs', 'mcpStateExecArgs']);
// Allowed when they concern a callback of this process.
const OWN_TOOLS = new Set(['mcpArgs', 'mcpAllowlistPrecheckArgs']);

// What may leave in the request context; everything else is reset to its default.
const CONTEXT = new Set([
  'env', 'tools', 'mcpInstructions', 'mcpMetaToolOptions', 'webSearchEnabled', 'webFetchEnabled', 'readLintsEnabled',
  'gitRepoInfoComplete', 'mcpInfoComplete', 'rulesInfoComplete', 'envInfoComplete', 'repositoryInfoComplete',
  'customSubagentsInfoComplete', 'agentSkillsInfoComplete', 'mcpFileSystemInfoComplete', 'gitStatusInfoComplete',
]);
const ENVIRONMENT = { osVersion: 'unknown', workspacePaths: ['/workspace'], shell: 'none', timeZone: 'UTC' };

let decoded = 0;
const refused = new Map();

let vouched = 0;
// What only the backend can have said, one in a message.
const SPOKEN = new Set(['text-delta', 'thinking-delta', 'tool-call-started', 'partial-tool-call']);

/** The tripwire: call it for every update of a run. More of them than messages that passed the guard means that
 *  there is a way past it: false. */
export function vouch(type) {
  if (SPOKEN.has(type)) vouched += 1;
  return vouched <= decoded;
}

/** How often each kind of request was refused: {kind: count}. */
export const refusals = () => Object.fromEntries(refused);

function permitted({ case: kind, value }) {
  return HARMLESS.has(kind) || (OWN_TOOLS.has(kind) && value.providerIdentifier === CUSTOM_TOOLS);
}

function refuse(message) {
  const kind = message.case ?? 'unknown';
  refused.set(kind, (refused.get(kind) ?? 0) + 1);
  return { case: 'refused: built-in tools are disabled on this client', value: {} };
}

function reset(message, keep) {
  const empty = new (message.getType())();
  for (const member of message.getType().fields.byMember()) {
    if (!keep.has(member.localName)) message[member.localName] = empty[member.localName];
  }
}

function scrub(message) {
  const name = message.getType().typeName;
  if (name === 'agent.v1.RequestContext') reset(message, CONTEXT);
  if (name === 'agent.v1.RequestContextEnv') {
    reset(message, new Set());
    Object.assign(message, ENVIRONMENT);
  }
}

const { readMessage, writeMessage } = proto3.bin;

proto3.bin.readMessage = function guarded(message, ...rest) {
  const result = readMessage.call(this, message, ...rest);
  const name = message.getType().typeName;
  if (name === 'agent.v1.AgentServerMessage') decoded += 1;
  if (name === EXEC && !permitted(message.message)) message.message = refuse(message.message);
  return result;
};

proto3.bin.writeMessage = function scrubbed(message, ...rest) {
  scrub(message);
  return writeMessage.call(this, message, ...rest);
};

// The same messages could arrive as JSON; nothing the app needs does.
const readJson = proto3.json.readMessage;
proto3.json.readMessage = function guardedJson(type, ...rest) {
  if (type.typeName.startsWith('agent.v1.')) throw new Error(`${type.typeName} as JSON is refused`);
  return readJson.call(this, type, ...rest);
};
