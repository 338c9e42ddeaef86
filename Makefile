.DEFAULT_GOAL := help

.PHONY: help
help: ## list what there is to make
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'

.PHONY: test
test: ## vet, and run every test against real databases, with the race detector
	scripts/test

.PHONY: lint
lint: ## go vet, and formatting
	go vet ./...
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt these files:"; echo "$$unformatted"; exit 1; fi

.PHONY: bench
bench: ## measure what Upkeep costs and carries, in half an hour (docs/performance.md)
	go run ./bench

.PHONY: prove
prove: ## show under faults that the promises are kept, in minutes (docs/promises.md)
	scripts/prove

.PHONY: prove-long
prove-long: ## the same with more of everything, in an hour or two
	scripts/prove long
