# What regkeeper does for Pods, workloads and BuildConfigs, as far as an experienced author of policies would write it: the rules are an object
# by registry and path, so that a look-up costs one step for each path segment and not one for each rule.
package system

import rego.v1

main := {
	"apiVersion": "admission.k8s.io/v1",
	"kind": "AdmissionReview",
	"response": response,
}

default response := {"allowed": true}

response := {
	"uid": input.request.uid,
	"allowed": false,
	"status": {"code": 403, "message": concat("\n", denials)},
} if {
	count(denials) > 0
} else := {
	"uid": input.request.uid,
	"allowed": true,
	"patchType": "JSONPatch",
	"patch": base64.encode(json.marshal(patches)),
} if {
	count(patches) > 0
} else := {
	"uid": input.request.uid,
	"allowed": true,
}

pod_spec_path := path if {
	path := {
		"Pod": ["spec"],
		"Deployment": ["spec", "template", "spec"],
		"ReplicaSet": ["spec", "template", "spec"],
		"StatefulSet": ["spec", "template", "spec"],
		"DaemonSet": ["spec", "template", "spec"],
		"Job": ["spec", "template", "spec"],
		"CronJob": ["spec", "jobTemplate", "spec", "template", "spec"],
	}[input.request.kind.kind]
}

pod_spec := object.get(input.request.object, pod_spec_path, {})

images contains image if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some container in object.get(pod_spec, field, [])
	image := container.image
}

images contains image if {
	input.request.kind.kind == "BuildConfig"
	some strategy in input.request.object.spec.strategy
	strategy.from.kind == "DockerImage"
	image := strategy.from.name
}

images contains image if {
	input.request.kind.kind == "BuildConfig"
	input.request.object.spec.output.to.kind == "DockerImage"
	image := input.request.object.spec.output.to.name
}

# The rule with the longest matching path.
rule_of[image] := rule if {
	some image in images
	name := split(split(image, "@")[0], "/")
	last := count(name) - 1
	repository := array.concat(array.slice(name, 0, last), [split(name[last], ":")[0]])
	lengths := [length |
		some length in numbers.range(1, count(repository))
		data.registries[concat("/", array.slice(repository, 0, length))]
	]
	count(lengths) > 0
	rule := data.registries[concat("/", array.slice(repository, 0, max(lengths)))]
}

denials contains sprintf("image %s is not from a configured registry", [image]) if {
	some image in images
	not rule_of[image]
}

denials contains sprintf("image %s is not from a trusted registry", [image]) if {
	some image in images
	rule_of[image].trust == false
}

secrets contains secret if {
	some image in images
	some secret in rule_of[image].pullSecrets
}

existing contains secret.name if some secret in object.get(pod_spec, "imagePullSecrets", [])

missing := [{"name": secret} | some secret in secrets; not secret in existing]

patches contains patch if {
	pod_spec_path
	count(missing) > 0
	patch := {
		"op": "add",
		"path": concat("", ["/", concat("/", pod_spec_path), "/imagePullSecrets"]),
		"value": array.concat(object.get(pod_spec, "imagePullSecrets", []), missing),
	}
}
