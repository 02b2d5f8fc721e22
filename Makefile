# The few commands that a person types. Each installs what it lacks and says so; `make help` lists them.
#
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster test test-cluster bench image lint

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## a little shop in network namespaces, watched live (as root)
	@tests/demo

demo-cluster: ## a Kubernetes of two nodes with a shop, every edge named (as root); STAY=1 leaves it there
	@STAY=$(STAY) tests/cluster/demo

test: ## every test that needs no cluster, and the lab where privileges allow
	@tests/all

test-cluster: ## a real Kubernetes of two nodes: started, proved, taken away (as root)
	@tests/cluster/test

bench: ## figures, each beside its target (as root)
	@benches/all

image: ## the container image localhost/tapetum:dev; ARCHIVE=FILE.tar also writes a docker-archive
	@deploy/image/build $(ARCHIVE)

lint: ## format, clippy, dependencies, documentation
	@tests/lint
