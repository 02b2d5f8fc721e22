{{/* Names and labels, the same in every object. */}}
{{- define "tapetum.name" -}}
{{- if contains "tapetum" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-tapetum" (.Release.Name | trunc 44 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "tapetum.selector" -}}
app.kubernetes.io/name: tapetum
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "tapetum.labels" -}}
{{ include "tapetum.selector" . }}
app.kubernetes.io/component: agent
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tapetum.config" -}}
{{- .Values.config | default (.Files.Get "files/agent.toml") -}}
{{- end -}}

{{- define "tapetum.traceKeySecret" -}}
{{- .Values.traceKey.existingSecret | default (printf "%s-trace-key" (include "tapetum.name" .)) -}}
{{- end -}}

{{/* What the file may ask for. The init container has the same, or it would judge another file. */}}
{{- define "tapetum.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: TRACE_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "tapetum.traceKeySecret" . }}
      key: trace_key
{{- if .Values.podMonitor.enabled }}
- name: ADMIN
  value: 0.0.0.0:{{ .Values.ports.admin }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
