"""Changes to optimizer, parameters and training inputs that break one rule each."""

from __future__ import annotations

from .neural_specs import FLOAT32, INT32, add_array
from .rule_cases import adam, breaks, classifier, sgd, update


@breaks("optimizer_kind")
def no_optimizer(model):
    update(model).ClearField("optimizer")


@breaks("optimizer_parameters")
def sgd_without_rate(model):
    sgd(model).ClearField("learningRate")


@breaks("optimizer_parameters")
def sgd_without_batch(model):
    sgd(model).ClearField("miniBatchSize")


for _name in ("learningRate", "miniBatchSize", "beta1", "beta2", "eps"):

    def _without(model, name=_name):
        update(model).optimizer.adamOptimizer.ClearField(name)

    _without.__name__ = f"adam_without_{_name}"
    breaks("optimizer_parameters", adam)(_without)


@breaks("epochs_missing")
def no_epochs(model):
    update(model).ClearField("epochs")


@breaks("parameter_positive")
def zero_epochs(model):
    update(model).epochs.defaultValue = 0


@breaks("parameter_positive")
def negative_batch(model):
    sgd(model).miniBatchSize.defaultValue = -10


@breaks("parameter_set")
def epochs_outside_the_set(model):
    update(model).epochs.defaultValue = 5000


@breaks("parameter_set")
def a_set_with_zero(model):
    sgd(model).miniBatchSize.set.values.append(0)


@breaks("parameter_set")
def an_empty_set(model):
    del sgd(model).miniBatchSize.set.values[:]


@breaks("parameter_set")
def seed_outside_its_set(model):
    update(model).seed.defaultValue = 5
    update(model).seed.set.values.append(-4)


@breaks("parameter_range")
def rate_outside_the_range(model):
    sgd(model).learningRate.defaultValue = 1.5


@breaks("parameter_range")
def range_upside_down(model):
    sgd(model).learningRate.range.minValue = 2


@breaks("parameter_range")
def rate_is_not_a_number(model):
    sgd(model).learningRate.defaultValue = float("nan")


@breaks("parameter_range")
def batch_range_from_zero(model):
    sgd(model).miniBatchSize.range.minValue = 0
    sgd(model).miniBatchSize.range.maxValue = 20


@breaks("parameter_range")
def batch_outside_its_range(model):
    sgd(model).miniBatchSize.range.minValue = 1
    sgd(model).miniBatchSize.range.maxValue = 5


@breaks("training_inputs_count")
def only_one_training_input(model):
    del model.description.trainingInput[1]


@breaks("training_inputs_count")
def no_training_inputs(model):
    del model.description.trainingInput[:]


@breaks("training_inputs_only_model")
def training_inputs_without_target(model):
    add_array(model.description.input, "probabilities_true", (1,), INT32)


@breaks("training_inputs_model")
def training_inputs_without_model_input(model):
    model.description.trainingInput[0].name = "something"


@breaks("training_inputs_target")
def target_of_another_name(model):
    model.description.trainingInput[1].name = "truth"


@breaks("training_inputs_target", classifier)
def classifier_target_of_another_name(model):
    model.description.trainingInput[1].name = "probabilities_true"


@breaks("label_type", classifier)
def integer_label_for_strings(model):
    model.description.trainingInput[1].type.int64Type.SetInParent()


@breaks("target_type")
def target_of_three(model):
    model.description.trainingInput[1].type.multiArrayType.shape[0] = 3


@breaks("target_type")
def target_of_floats(model):
    model.description.trainingInput[1].type.multiArrayType.dataType = FLOAT32
