/** Finds the variable of a templating tool in a text that should be an image name. */

/**
 * How tools write a variable. Each form stops at its own opening character, so a search is linear in the length of the text:
 * - `{{ .Values.image }}`, `${{ github.sha }}`: Helm, Jinja, Mustache, Argo, GitHub Actions, Azure Pipelines
 * - `${IMAGE}`, `$(IMAGE)`, `$[IMAGE]`, `$IMAGE`: shells, envsubst, OpenShift templates, Kubernetes, make, Azure Pipelines
 * - `#{IMAGE}#`, `{image}`, `%{image}`, `{% set x %}`: replace tokens, Octopus, Python, Terraform, Jinja
 * - `<IMAGE>`, `<< parameters.image >>`, `<%= image %>`: documentation, CircleCI, ERB
 * - `%IMAGE%`, `%(image)s`: Windows, Python
 * - `((image))`, `[[image]]`, `[namespace]`: Concourse, documentation and others. Not `[::1]`, which is a host, and `[a-z]`, a pattern
 * - `@IMAGE@`, `__IMAGE__`: autoconf, Maven, replace tokens
 * - `ko://example.com/cmd/app`: the import path of a Go program, which `ko` replaces with the image that it builds
 */
const variable =
  /\$?\{\{[^{}]*\}\}|[$#%]?\{[^{}]+\}#?|\$\([^()]*\)|\$\[[^[\]]*\]|\$[A-Za-z_]\w*|<{1,2}[^<>]*>{1,2}|%[A-Za-z_]\w*%|%\([^()]*\)s?|\(\([^()]*\)\)|\[\[[^[\]]*\]\]|\[(?!a-z|A-Z|[a-f\d]+\])[A-Za-z][\w .-]{2,}\]|@[A-Za-z][\w.-]*@|__[A-Za-z][A-Za-z0-9_.]*__|^ko:\/\/.+/;

/** `IMAGE`, `REPLACE_ME:TAG`, `gcr.io/PROJECT_ID/app`: a whole segment in the notation of environment variables. */
const bareName = /(?<![^/])(?:REGISTRY|REPOSITORY|NAMESPACE|PROJECT|IMAGE|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?=$|[/:@])/;

/** The first variable in a text that is not an image name, or undefined. A valid image name can contain `__TAG__`, so it must not be asked about. */
export function findUnreplacedVariable(text: string): string | undefined {
  return variable.exec(text)?.[0] ?? bareName.exec(text)?.[0];
}

/** What the variable is, and the fix: the words that follow `looks like`. `needed` is what the text should be. No full stop. */
export function renderUnreplacedVariable(needed: string, variable: string): string {
  const isExpanded = variable.startsWith('$');
  const kind = isExpanded ? 'an unexpanded variable' : 'a placeholder that was not replaced';
  const tool = isExpanded ? 'expands the variable' : 'replaces the placeholder';
  return `${kind}. Specify the ${needed}, or run the tool that ${tool}`;
}
