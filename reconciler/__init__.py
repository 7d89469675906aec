"""pinrec: the declarative reconciler for IPFS pinning services.

Six verbs, one module each, are the whole product:

1. **desire** what the manifest says           (`core.desire`)
2. **observe** what the world has              (`engine.observe`)
3. **diff** them into a plan                   (`core.diff`, `core.plan`)
4. **guard** the plan                          (`core.guards`)
5. **apply** it                                (`engine.apply`)
6. **wait** until it is true                   (`engine.wait`)
"""

__version__ = "0.1.0"
