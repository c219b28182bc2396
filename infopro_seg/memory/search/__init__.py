"""Searches cuts and recomputation by the added-up costs: exactly, without tracing a step for each choice.

Read `partition` first: where to cut a chain into K modules. `module_search` and `partition_search` also
choose what is recomputed. `cuts` answers a config's `num_modules`, and `recipe_search` finds recipes and
traces those it returns.
"""
