"""Learn from the weights of Kolmogorov-Arnold networks (KANs).

Data flows one way, through rooms that each know only those before them:

    signals -> kan -> zoo -> graph -> models -> tasks -> experiments -> cli
                         \\-> align

- :mod:`wskan.signals`: what KANs are trained on.
- :mod:`wskan.kan`: KANs, populations of KANs, fitting them.
- :mod:`wskan.zoo`: recipes, the builder and the store of trained KANs.
- :mod:`wskan.align`: weight matching of KANs, and aligned zoos.
- :mod:`wskan.graph`: KAN-graphs.
- :mod:`wskan.models`: WS-KAN and its baselines.
- :mod:`wskan.tasks`: targets, training and evaluation.
- :mod:`wskan.experiments`: the tables and figures of the paper, one command each.
- :mod:`wskan.testing`: symmetry checks and fake zoos, for your own models too.
"""

__version__ = "0.1.0"
