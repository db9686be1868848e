{{- define "detour.selector" -}}
app.kubernetes.io/name: detour
app.kubernetes.io/component: server
{{- end }}

{{- define "detour.labels" -}}
{{ include "detour.selector" . }}
app.kubernetes.io/part-of: detour
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "detour.image" -}}
{{- with .Values.image.digest -}}
{{ $.Values.image.repository }}@{{ . }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* The sidecars' resources, as the server's option takes them. */ -}}
{{- define "detour.sidecarResources" -}}
{{- $parts := list -}}
{{- range $kind := list "requests" "limits" -}}
{{- range $name, $value := index $.Values.injection.resources $kind -}}
{{- if $value -}}
{{- $parts = append $parts (printf "%s.%s=%v" $kind $name $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join "," $parts -}}
{{- end }}

{{- /* What the server may do in a namespace of the mesh. */ -}}
{{- define "detour.meshRules" -}}
- apiGroups: [""]
  resources: [services, pods, events]
  verbs: [get, list, watch]
# LimitRanges bound the resources of sidecars.
- apiGroups: [""]
  resources: [limitranges]
  verbs: [list]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments, replicasets]
  verbs: [get, list, watch]
# The sidecars' certificate, and no other Secret. RBAC cannot restrict creation by name; creating reveals nothing.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [detour-sidecar-tls]
  verbs: [get, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- if .Values.offload.enabled }}
# Copies of live Deployments; RBAC cannot restrict this to some Deployments only.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, update, patch, delete]
# Registered endpoints are stored as EndpointSlices without a Service.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [create, update, patch, delete]
# What selects the baseline's pods must not select those of its copy.
- apiGroups: [apps]
  resources: [daemonsets, statefulsets]
  verbs: [list]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [list]
# Policies that restrict the baseline restrict its copy too.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, create, patch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if eq .Values.injection.mode "auto" }}
# To check whether pods may use transparent mode (dryRun). Permission to create Deployments already implies this one.
- apiGroups: [""]
  resources: [pods]
  verbs: [create]
{{- end }}
{{- end }}
{{- end }}
