"""Why do models disagree, and what did training change? Numbers, for whoever draws them.

About a picture, from the one pass that answered it (`predict.Answers`):

* `heat.measure_heat`: where in the picture a model found what spoke for a class.
* `neighbours.Bank.find`: the training images most like it in the model's own features.
* `reason.find_reason` and `describe_reason`: margin, neighbours and heat in one sentence.
* `perturbations.trace_confidence`: what would change its mind.
* `plane.Projection.place`: where it lies on the map of features.
* `paths.Path.classify`: what the models between two models say of it.

About the networks, computed once for a set of checkpoints by `analysis.analyse_set`, kept in one
verified file and read by `analysed.load_analysis`: how far every layer moved (`movement`), how
alike its features still are (`similarity`), the map of the test images, accuracies along the paths.

`sweep.sweep_rates` maps accuracy against optimizer and learning rate; step sizes are in a record's
history (`record.Epoch.step_sizes`). docs/explained.md says what each figure can and cannot tell.
"""
