// Reads manifests from standard input and says what in them is no field of its kind, or no value of its type. An API
// server drops an unknown field with a warning that few see; here it is an error, and no server is needed.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// What the chart may make, besides kinds that a cluster has to be taught.
func empty(kind string) any {
	switch kind {
	case "v1/ConfigMap":
		return &core.ConfigMap{}
	case "v1/Namespace":
		return &core.Namespace{}
	case "v1/Secret":
		return &core.Secret{}
	case "v1/ServiceAccount":
		return &core.ServiceAccount{}
	case "apps/v1/DaemonSet":
		return &apps.DaemonSet{}
	case "rbac.authorization.k8s.io/v1/ClusterRole":
		return &rbac.ClusterRole{}
	case "rbac.authorization.k8s.io/v1/ClusterRoleBinding":
		return &rbac.ClusterRoleBinding{}
	}
	return nil
}

func judge(document []byte) (string, error) {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &head); err != nil {
		return "", err
	}
	if head.Kind == "" {
		return "", nil
	}
	kind := head.APIVersion + "/" + head.Kind
	object := empty(kind)
	if object == nil {
		return kind, fmt.Errorf("is no kind that the chart is known to make")
	}
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return kind, err
	}
	// As an API server does: a field of another case is another field.
	wrong, err := json.UnmarshalStrict(text, object)
	return kind, errors.Join(append(wrong, err)...)
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	wrong := false
	for _, document := range bytes.Split(text, []byte("\n---")) {
		kind, err := judge(document)
		if err != nil {
			wrong = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", kind, err)
		} else if kind != "" {
			fmt.Println(kind)
		}
	}
	if wrong {
		os.Exit(1)
	}
}
