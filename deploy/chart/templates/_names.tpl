{{/*
Names are fixed and do not contain the release name: regkeeper finds the webhook configurations, the Secret and the snapshot by name. A
second installation in the same cluster would overwrite those of the first.
*/}}

{{- define "regkeeper.labels" -}}
{{ include "regkeeper.labelsWith" (list . dict) }}
{{- end }}

{{/* The labels of an object, with additional labels. Parameters: a list of the root context and a dictionary of labels. */}}
{{- define "regkeeper.labelsWith" -}}
{{- $root := index . 0 }}
{{- $own := dict
  "app.kubernetes.io/name" "regkeeper"
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
}}
{{- mergeOverwrite (dict) $root.Values.commonLabels (index . 1) $own | toYaml }}
{{- end }}

{{/* Registry and path of the image. As in Docker, the first part of a name is a registry if it contains a dot or a port, or is localhost. */}}
{{- define "regkeeper.repository" -}}
{{- with .Values.image -}}
{{- $path := splitList "/" .repository }}
{{- if and .registry (gt (len $path) 1) (regexMatch "[.:]|^localhost$" (first $path)) }}
{{- $path = rest $path }}
{{- end }}
{{- join "/" (compact (prepend $path .registry)) }}
{{- end -}}
{{- end }}

{{- define "regkeeper.image" -}}
{{ include "regkeeper.repository" . }}
{{- with .Values.image.digest -}}
@{{ . }}
{{- else -}}
:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What the restricted Pod Security Standard requires. The values can add only fields that comply with it. */}}
{{- define "regkeeper.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "regkeeper.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- with .Values.securityContext }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "regkeeper.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default "regkeeper" }}
{{- else -}}
{{ required "serviceAccount.create is false, so serviceAccount.name must be set" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* The flags of `regkeeper serve`, as a YAML list. */}}
{{- define "regkeeper.args" -}}
- serve
- --tls
{{- if eq .Values.certs.mode "self" }}
- self
{{- else }}
- files
- --tls-cert
- /etc/regkeeper/tls/tls.crt
- --tls-key
- /etc/regkeeper/tls/tls.key
- --tls-ca
- /etc/regkeeper/tls/ca.crt
{{- end }}
- --service
- regkeeper
- --manage-webhooks
- --host
- "::"
- --port
- {{ .Values.webhook.port | quote }}
- --health-port
- {{ .Values.healthPort | quote }}
- --shutdown-delay-seconds
- {{ .Values.shutdownDelaySeconds | quote }}
{{- $excluded := .Values.webhook.excludeNamespaces }}
{{- if eq .Values.certs.mode "cert-manager" }}
{{- $excluded = prepend $excluded .Values.certs.certManager.namespace | uniq }}
{{- end }}
{{- range $excluded }}
- --exclude-namespaces
- {{ . | quote }}
{{- end }}
{{- with .Values.webhook }}
{{- with .namespaceSelector }}
- --namespace-selector
- {{ . | quote }}
{{- end }}
{{- with .matchCondition }}
- --match-condition
- {{ . | quote }}
{{- end }}
{{- if ne .failurePolicy "Fail" }}
- --failure-policy
- {{ .failurePolicy }}
{{- end }}
{{- if ne (int .timeoutSeconds) 5 }}
- --webhook-timeout-seconds
- {{ .timeoutSeconds | quote }}
{{- end }}
{{- if ne .admissionsEnforcer "tolerate" }}
- --admissions-enforcer
- {{ .admissionsEnforcer }}
{{- end }}
{{- end }}
{{- if .Values.namespaceRules }}
- --namespace-rules
{{- end }}
{{- if not .Values.events }}
- --events
- "off"
{{- end }}
{{- if .Values.customKinds }}
- --custom-kinds
- /etc/regkeeper/kinds/custom-kinds.yaml
{{- end }}
{{- if .Values.webhook.clientCaConfigMap }}
- --client-ca
- /etc/regkeeper/client-ca/ca.crt
{{- end }}
{{- if ne .Values.logLevel "info" }}
- --log-level
- {{ .Values.logLevel }}
{{- end }}
{{- if ne .Values.logFormat "json" }}
- --log-format
- {{ .Values.logFormat }}
{{- end }}
{{- with .Values.auditLog }}
- --audit-log
- {{ . | quote }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The role and binding for one purpose. Parameters: a dictionary of the root context, kind, name and rules. */}}
{{- define "regkeeper.role" -}}
{{- $cluster := hasPrefix "Cluster" .kind -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- if not $cluster }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "regkeeper.labels" .root | nindent 4 }}
rules:
{{ .rules | trim }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if not $cluster }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "regkeeper.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ include "regkeeper.serviceAccount" .root }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}
