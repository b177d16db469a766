{{- define "hone.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "hone.labels" -}}
app.kubernetes.io/name: hone
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "hone.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "hone.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "hone.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* seconds of a duration such as 60s, 2m or 1h */ -}}
{{- define "hone.seconds" -}}
{{- if hasSuffix "h" . }}{{ mul 3600 (trimSuffix "h" . | int) }}{{ else if hasSuffix "m" . }}{{ mul 60 (trimSuffix "m" . | int) }}{{ else }}{{ trimSuffix "s" . | int }}{{ end }}
{{- end }}

{{- define "hone.pod" -}}
serviceAccountName: {{ include "hone.serviceAccount" . }}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "hone.container" -}}
image: {{ include "hone.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* the servers, for who takes a dict of root and the key of the database's address */ -}}
{{- define "hone.env" -}}
{{- $v := .root.Values -}}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $v.database.secret | quote }}, key: {{ .key | quote }}}}
- name: TEMPORAL_ADDRESS
  value: {{ required "temporal.address is empty: want the host:port of Temporal's front end" $v.temporal.address | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ $v.temporal.namespace | quote }}
{{- with $v.temporal.tls }}
{{- if .enabled }}
- name: TEMPORAL_TLS
  value: "true"
{{- if .secret }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /etc/hone/temporal/ca.crt
{{- if .mutual }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /etc/hone/temporal/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /etc/hone/temporal/tls.key
{{- end }}
{{- else if .mutual }}
{{- fail "temporal.tls.mutual wants temporal.tls.secret, with ca.crt, tls.crt and tls.key" }}
{{- end }}
{{- with .serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with $v.temporal.apiKey }}
{{- if .secret }}
- name: TEMPORAL_API_KEY
  valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- range $name, $value := $v.otel }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with $v.blobs.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* flags that all commands share */ -}}
{{- define "hone.flags" -}}
{{- with .Values.blobs.url }}
- --blob-url={{ . }}
{{- end }}
{{- with .Values.blobs.cacheBytes }}
- --cache-bytes={{ . }}
{{- end }}
- --log-level={{ .Values.logs.level }}
- --log-format={{ .Values.logs.format }}
{{- end }}

{{- define "hone.mounts" -}}
- {name: data, mountPath: /var/lib/hone}
- {name: tmp, mountPath: /tmp}
{{- if and .Values.temporal.tls.enabled .Values.temporal.tls.secret }}
- {name: temporal-tls, mountPath: /etc/hone/temporal, readOnly: true}
{{- end }}
{{- if .Values.database.tls.secret }}
- {name: postgres-tls, mountPath: /etc/hone/postgres, readOnly: true}
{{- end }}
{{- end }}

{{- define "hone.volumes" -}}
- name: data
{{- if .Values.blobs.claim }}
  persistentVolumeClaim: {claimName: {{ .Values.blobs.claim | quote }}}
{{- else if .Values.blobs.url }}
  emptyDir: {sizeLimit: {{ .Values.blobs.cacheSize | quote }}}
{{- else }}
{{- fail "weights need a place that all pods reach: set blobs.url (s3://…, gs://…, azblob://…) or blobs.claim (a ReadWriteMany claim)" }}
{{- end }}
- name: tmp
  emptyDir: {}
{{- if and .Values.temporal.tls.enabled .Values.temporal.tls.secret }}
- name: temporal-tls
  secret: {secretName: {{ .Values.temporal.tls.secret | quote }}, defaultMode: 0440}
{{- end }}
{{- if .Values.database.tls.secret }}
- name: postgres-tls
  secret: {secretName: {{ .Values.database.tls.secret | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}
