"""Configurations as people have them, for each agent: comments, odd formatting, other providers.

Every comment says "mine". APPLICATIONS is where desktop applications keep their settings.
"""

SAMPLES: dict[str, dict[str, str]] = {
    "opencode": {
        ".config/opencode/opencode.jsonc": """\
// mine: settings of many years
{
    "$schema": "https://opencode.ai/config.json",
    "model": "anthropic/claude-sonnet-4-5", // mine, too
    /* mine
       on two lines */
    "provider": {
        "acme": { "npm": "@ai-sdk/openai-compatible", "options": { "baseURL": "https://acme.example/v1" } },
    },
    "mcp": {"x": {"type": "local", "command": ["x"]}},
}
"""
    },
    "codex": {
        ".codex/config.toml": """\
# mine
model = "gpt-5.6"   # mine as well
approval_policy  = 'on-request'

[mcp_servers.docs]
command = "docs"
env = { TOKEN = "abc" }

[model_providers.acme]
name = "Acme"
base_url = "https://acme.example/v1"

# mine: at the end
[projects."/home/me/x"]
trust_level = "trusted"
"""
    },
    "vscode": {
        "APPLICATIONS/Code/User/chatLanguageModels.json": """\
[
\t// mine
\t{
\t\t"name": "Ollama",
\t\t"vendor": "ollama",
\t\t"url": "http://localhost:11434"
\t}
]
"""
    },
    "cline": {
        ".cline/data/globalState.json": """\
{
  "welcomeViewCompleted": true,
  "actModeApiProvider": "anthropic",
  "actModeApiModelId": "claude-mine",
  "autoApprovalSettings": {"enabled":false}
}
""",
        ".cline/data/secrets.json": '{"apiKey":"mine","openAiApiKey":"sk-old"}',
        ".cline/data/settings/providers.json": """\
{
  "version": 1,
  "lastUsedProvider": "anthropic",
  "modes": {},
  "providers": {
    "anthropic": {
      "settings": {"provider": "anthropic", "apiKey": "mine"},
      "updatedAt": "2026-05-01T10:00:00.000Z",
      "tokenSource": "manual"
    }
  }
}
""",
    },
    "kilo": {
        ".config/kilo/kilo.json": """\
{
  "permission": {"bash": "ask"}, // mine
  "disabled_providers": []
}
"""
    },
    "pi": {
        ".pi/agent/models.json": """\
{
  // mine
  "providers": {
    "ollama": {
      "baseUrl": "http://localhost:11434/v1",
      "api": "openai-completions",
      "apiKey": "ollama",
      "models": [{ "id": "llama3.1:8b" }]
    }
  }
}
"""
    },
    "continue": {
        ".continue/config.yaml": """\
# mine: my assistant
name:   My Assistant
version: 0.0.1
schema: v1

models:
  - name: "GPT"     # mine
    provider: openai
    model: 'gpt-4o'
    apiKey: ${{ secrets.OPENAI_API_KEY }}
    roles: [chat,   edit]

  # mine: local
  - name: Llama
    provider: ollama
    model: llama3.1:8b
    requestOptions:
        timeout: 7200

context:
- provider: code
- provider: docs

rules:
  - |
    Be brief, mine.
      Indented.
  - >-
    A very long rule that goes on and on and on and on and on and on and on and on and on and on and on.
"""
    },
    "aider": {
        ".aider.conf.yml": """\
##########################################################
# mine: see https://aider.chat/docs/config/aider_conf.html
##########################################################

model: gpt-4o # mine
openai-api-key: "sk-old"
read:
- CONVENTIONS.md
- other.md
dark-mode: true

## mine: later
#auto-commits: false
""",
        ".aider.model.settings.yml": """\
# mine
- name: openai/other
  edit_format: whole
  extra_params: {max_tokens: 5}
""",
    },
    "roo": {
        ".vscode/extensions/rooveterinaryinc.roo-cline-3.30.0/package.json": '{"name": "mine"}\n',
        "APPLICATIONS/Code/User/settings.json": """\
{
    // mine
    "editor.fontSize": 13,
    "[python]": {
        "editor.formatOnSave": true,
    },
    "roo-cline.allowedCommands": ["git log"]
}
""",
    },
}
