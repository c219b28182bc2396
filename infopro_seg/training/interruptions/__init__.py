"""What ends a training early: signals, faults of other ranks, lack of memory; nothing completed is lost."""
