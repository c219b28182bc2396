"""Searches cuts and recomputation with the additive costs: exactly, without tracing each choice.

Read `partition` first: it cuts a chain into K modules. `module_search` and `partition_search` also choose
what is recomputed. `cuts` resolves a config's `num_modules`. `recipe_search` finds recipes and traces those
that it returns.
"""
