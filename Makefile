# The words to know. Each works on a fresh Debian 12 with git and make; etc/dev.sh does the work.

PYTHON ?=
VENV ?= .venv
DEV = VENV=$(VENV) PYTHON=$(PYTHON) sh etc/dev.sh
READY = $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run assets wheel cluster test check coverage test-nodes faults kills drill fresh doubles bench bench-peers bench-cluster simulate fuzz attack wheel-compiled docs clean

help: ## show these words
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-14s %s\n", $$1, $$2 }'

run: $(READY) ## start a server on localhost, its data in ./run
	@$(DEV) run

assets: $(READY) ## fetch what the console draws graphs with, from npm
	@$(DEV) assets

wheel: $(READY) ## make the wheel, in ./dist, with what the console draws graphs with
	@$(DEV) wheel

cluster: $(READY) ## start three nodes on localhost, with a Redis and a PostgreSQL of their own
	@$(DEV) cluster

test: $(READY) ## everything: trial with SQLite and PostgreSQL, then check
	@$(DEV) test

check: $(READY) ## ruff, mypy, import-linter, codespell, docs, house rules
	@$(DEV) check

coverage: $(READY) ## which branches the tests reach
	@$(DEV) coverage

test-nodes: $(READY) ## the tests of one server's clients, with the clients at three nodes
	@$(DEV) nodes

faults: $(READY) ## what three nodes do when something fails: FAULT=kill-b LINKS=direct, or all
	@FAULT="$(FAULT)" LINKS="$(LINKS)" SEED="$(SEED)" $(DEV) faults

kills: $(READY) ## kill a server 200 times under load, on SQLite and PostgreSQL: KILLS=200 SEED=1
	@KILLS="$(KILLS)" SEED="$(SEED)" $(DEV) kills

drill: $(READY) ## 27 incidents on a server with 200 clients: two commands of the manual name the cause: PEOPLE=200 WORDS=flood
	@PEOPLE="$(PEOPLE)" WORDS="$(WORDS)" $(DEV) drill

fresh: $(READY) ## what the manual says of installing, on a machine with nothing but Debian: needs root and the network
	@$(DEV) fresh

doubles: $(READY) ## what clients of other people have got does not come again: slixmpp, aioxmpp, Profanity
	@$(DEV) doubles

bench: $(READY) ## measure this server
	@$(DEV) bench

bench-peers: $(READY) ## measure it beside the XMPP servers installed here
	@$(DEV) bench --peers

bench-cluster: $(READY) ## measure several nodes beside one
	@$(DEV) bench_cluster

simulate: $(READY) ## made-up courses of events at three nodes: SEEDS=100, or SEED=7 alone; MOVES=1: sessions move
	@$(DEV) simulate $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(MOVES),--moves)

fuzz: $(READY) ## the property tests, with many more examples and other seeds
	@$(DEV) fuzz

attack: $(READY) ## attack the commands by HTTP with what their own description says: EXAMPLES=200 SEED=1
	@EXAMPLES="$(EXAMPLES)" SEED="$(SEED)" $(DEV) attack

wheel-compiled: $(READY) ## a wheel for this machine, in which the busiest modules are compiled, into dist
	@$(DEV) wheel_compiled

docs: $(READY) ## build the documentation into docs/_build
	@$(DEV) docs

clean: ## remove what was made here, except ./run
	rm -rf $(VENV) .node .assets xmppd/console/static/uPlot* build dist docs/_build docs/reference *.egg-info .mypy_cache .ruff_cache .hypothesis _trial_temp*
	rm -rf .import_linter_cache .coverage* htmlcov
	find . -name __pycache__ -prune -exec rm -rf {} +

# Only a change of what we depend on installs again: the checkout itself is on the path.
$(READY): setup.cfg pyproject.toml
	@$(DEV) environment
	@touch $@
