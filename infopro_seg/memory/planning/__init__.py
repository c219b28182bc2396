"""Compares recipes for a config and recommends one for a budget: `tools/plan.py`, and `--fit` of training.

Read `planner` first, then `plan`, which it returns, and `plan_output`, which shows it. `command` is the whole
of `tools/plan.py`. `process_plan` plans one process per local module, `turn_plans` modules that train in
turn.
"""
