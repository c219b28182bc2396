"""Compares recipes for a config and recommends one for a budget: `tools/plan.py`, and `--fit` of training.

Read `planner` first, then `plan` for what it returns and `report` for how that is shown. `command` is the
whole of `tools/plan.py`; `process_plan` and `turn_plans` plan one process per module and modules that train
in turn.
"""
