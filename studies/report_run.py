"""Write the record, learning curve and pictures of a run of INR classification.

python -m studies.report_run RUN ZOO OUT --data DIR
"""

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure
from torchmetrics.functional.classification import multiclass_confusion_matrix

from wskan.plotting.kans import reconstructions
from wskan.plotting.scores import confusion
from wskan.tasks import GraphDataset, graph_loader, learning_curve, open_run, predict
from wskan.zoo import open_zoo, reconstruct


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "zoo", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    run, zoo, out = open_run(arguments.run), open_zoo(arguments.zoo), arguments.out
    curve = [{name: round(value, 4) for name, value in row.items()} for row in learning_curve(arguments.run)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(
        json.dumps({**run.record, "zoo": zoo.info(), "learning_curve": curve}, indent=1) + "\n"
    )

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, label in (("train_accuracy", "training (with dropout)"), ("val_accuracy", "validation")):
        axis.plot([row["epoch"] + 1 for row in curve], [row[name] for row in curve], label=label)
    axis.axhline(
        run.record["test"]["accuracy"],
        linestyle=":",
        color="gray",
        label=f"test, best epoch: {run.record['test']['accuracy']:.1f} %",
    )
    axis.set(
        xlabel="epoch",
        ylabel="accuracy, percent",
        ylim=(0, 100),
        title=f"{zoo.recipe.name}: {len(zoo.split('train')):,} training KANs",
    )
    axis.legend()
    figure.savefig(out / "learning_curve.png", dpi=150)

    output, target = predict(run.model, graph_loader(GraphDataset(zoo, "test", run.task, run.features), 128))
    matrix = multiclass_confusion_matrix(output, target, run.task.out_dim)
    title = f"WS-KAN on {zoo.recipe.dataset}: {run.record['test']['accuracy']:.1f} % of {len(target):,} test KANs"
    confusion(matrix, [str(i) for i in range(run.task.out_dim)], title, out / "confusion.png")
    rows = zoo.split("test")[:12]
    reconstructions(*reconstruct(zoo, rows, arguments.data), zoo.columns["psnr"][rows], out / "reconstructions.png")


if __name__ == "__main__":
    main()
