from collections import Counter

import pytest

from wskan.errors import DataError
from wskan.experiments import EXPERIMENTS, METHODS, get_scale
from wskan.experiments.beyond.forms import OTHER_DATASET_METHODS
from wskan.graph import FORMS, FeatureConfig


def test_every_form_is_compared_on_the_first_data_set() -> None:
    experiment = EXPERIMENTS["forms"]
    plans = experiment.plans(experiment.request(get_scale("cpu")))
    seeds = Counter((plan.dataset, plan.method) for plan in plans)
    forms = [METHODS[method] for dataset, method in seeds if dataset == "mnist"]
    assert {(m.features.form, m.features.knots, bool(m.augment)) for m in forms} == {
        (form, knots, augment)
        for form in FORMS
        if form != "observed"
        for knots in (False, True)
        for augment in (False, True)
    }
    assert {method for dataset, method in seeds if dataset == "cifar10"} == set(OTHER_DATASET_METHODS)
    assert set(seeds.values()) == {3}


def test_the_long_comparison_shares_its_runs_with_table_1() -> None:
    def runs(name: str) -> set[str]:
        experiment = EXPERIMENTS[name]
        return {plan.name for plan in experiment.plans(experiment.request(get_scale("cpu"), methods=("ws_kan",)))}

    assert runs("forms-long") == runs("table1")


def test_a_model_is_built_for_what_it_reads() -> None:
    experiment = EXPERIMENTS["forms"]
    for plan in experiment.plans(experiment.request(get_scale("smoke"))):
        features, spec = METHODS[plan.method].features, plan.recipe.spec
        model = plan.model
        assert plan.features == features
        assert (model.edge_dim, model.node_dim, model.bias_dim) == (
            features.edge_dim(spec),
            features.node_dim(spec),
            features.bias_dim,
        )


def test_the_papers_methods_read_equation_5() -> None:
    paper = ("mlp", "mlp_aug", "mlp_align", "dmc", "deep_sets", "set_transformer", "ws_kan", "no_pe", "no_bidir")
    assert all(METHODS[method].features == FeatureConfig(form="raw", knots=False) for method in paper)


def test_as_many_steps_with_fewer_kans_up_to_four_times_the_epochs() -> None:
    experiment = EXPERIMENTS["data-efficiency"]
    request = experiment.request(get_scale("cpu"))
    assert request.datasets == ("mnist",)
    epochs = {plan.train_limit: plan.training.epochs for plan in experiment.plans(request)}
    assert epochs == {250: 64, 500: 64, 1_000: 56, 2_000: 28, None: 16}


def test_a_request_for_what_an_experiment_lacks_is_refused() -> None:
    with pytest.raises(DataError, match="has no methods"):
        EXPERIMENTS["forms"].request(get_scale("cpu"), methods=("dmc",))
