"""Finds the best cuts and recomputation by the additive costs, exactly and without tracing each choice.

Read `partition` first: it cuts a chain into K modules. `module_search` and `partition_search` also choose
what is recomputed. `process_split` cuts for one process per module. `cuts` resolves a config's `num_modules`.
`recipe_search` finds recipes and traces those that it returns.
"""
