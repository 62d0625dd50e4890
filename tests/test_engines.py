"""Scoring on other engines: each gives what ``transform`` gives, to the last bit."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.export import lookup_frames, sql, to_parquet
from tests.export.test_lookup import draw

N = 600


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    city = rng.choice(["O'Slo", "Rome\\n", "lima", "Lima", "Lima ", "ß"], N).astype(object)
    frame = pd.DataFrame({"id": np.arange(N), "city": city, "code": rng.integers(0, 9, N)})
    frame["n 1"] = rng.standard_normal(N)
    return frame


@pytest.fixture(scope="module")
def encoder(rows):
    y = (rows["city"] == "Lima") * (rows["code"] == 3) + rows["n 1"]
    settings = {"max_iter": 2, "cv": 2, "random_state": 0, "hidden_layer_sizes": (4,)}
    columns = ["city", "code"]
    encoder = EntityEmbeddingEncoder(columns, remainder="passthrough", interactions=1, **settings)
    return encoder.fit(rows.drop(columns="id"), y)


@pytest.fixture(scope="module")
def new_rows(rows):
    """Rows with unknown, missing and NaN."""
    frame = rows.sample(frac=1, random_state=1).reset_index(drop=True)
    frame["id"] = np.arange(N)
    frame.loc[::7, "city"] = None
    frame.loc[3::11, "city"] = "Lïma"
    frame.loc[5::13, "code"] = 77
    frame.loc[2::9, "n 1"] = np.nan
    return frame


@pytest.fixture(scope="module")
def vectors(encoder, new_rows):
    return encoder.transform(new_rows.drop(columns="id"))


def check(table, encoder, vectors):
    """Compare a table, by id, with the vectors of `transform`."""
    table = pa.table(table).sort_by("id")
    assert table["id"].to_pylist() == list(range(N))
    columns = [table[name].cast(pa.float32()).to_numpy() for name in names_of(encoder)]
    np.testing.assert_array_equal(np.column_stack(columns), vectors)


def names_of(encoder):
    return encoder.get_feature_names_out().tolist()


def test_dask_transforms_its_partitions(encoder, new_rows, vectors):
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(new_rows, npartitions=4)

    def encode(part):
        out = encoder.transform(part[encoder.feature_names_in_])
        out = pd.DataFrame(out, part.index, encoder.get_feature_names_out())
        return pd.concat([part["id"], out], axis=1)

    types = {"id": "int64", **dict.fromkeys(names_of(encoder), "float32")}
    encoded = frame.map_partitions(encode, meta=types)
    assert encoded.npartitions == 4
    check(encoded.compute(scheduler="sync"), encoder, vectors)
    with pytest.raises(UnsupportedDataError, match="lazy table of dask cannot be read in blocks"):
        encoder.transform_batches(frame, "vectors")


def test_duckdb_looks_up_over_parquet_files(encoder, new_rows, vectors, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    for k in range(3):
        (tmp_path / f"month={k}").mkdir()
        part = pa.table(new_rows[200 * k : 200 * k + 200])
        pq.write_table(part, tmp_path / f"month={k}" / "rows.parquet")
    lookups = to_parquet(encoder, tmp_path / "lookups")
    with duckdb.connect() as connection:
        files = tmp_path / "month=*" / "*.parquet"
        connection.execute(f"CREATE VIEW scored AS SELECT * FROM read_parquet('{files}')")
        query = sql(encoder, "scored", lookups=lookups, keep=["id"])
        target = tmp_path / "vectors.parquet"
        connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet)")
    written = pq.read_table(target)
    passed = pa.chunked_array([written["n 1"].to_pandas().to_numpy()])  # NULL as NaN
    check(written.set_column(written.num_columns - 1, "n 1", passed), encoder, vectors)


@pytest.fixture(scope="module")
def spark():
    """A session of one thread for all tests: to start one takes seconds."""
    pytest.importorskip("pyspark", reason="pyspark is in the extra `spark`")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java.")
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        # For a quick start, and short queries.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.memory": "512m",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
        builder = SparkSession.builder.master("local[1]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.fixture
def spark_rows(spark, new_rows, tmp_path):
    """The rows as Spark reads them: from Parquet."""
    pq.write_table(pa.table(new_rows).replace_schema_metadata(None), tmp_path / "rows.parquet")
    return spark.read.parquet(str(tmp_path / "rows.parquet"))


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark_maps_frames(spark_rows, encoder, new_rows, vectors, rows):
    columns = encoder.feature_names_in_

    def encode(frames):
        for frame in frames:
            out = pd.DataFrame(encoder.transform(frame[columns]), columns=names_of(encoder))
            out.insert(0, "id", frame["id"])
            yield out

    quoted = ["`" + name.replace("`", "``") + "` float" for name in names_of(encoder)]
    found = spark_rows.mapInPandas(encode, ", ".join(["id long", *quoted]))
    check(found.toArrow(), encoder, vectors)

    y = rows["city"] == "Lima"
    model = EntityEmbeddingClassifier(max_iter=1, cv=2, random_state=0).fit(rows[["city"]], y)

    def predict(frames):
        for frame in frames:
            yield pd.DataFrame({"id": frame["id"], "p": model.predict_proba(frame[["city"]])[:, 1]})

    predicted = spark_rows.mapInPandas(predict, "id long, p double").toArrow().sort_by("id")
    expected = model.predict_proba(new_rows[["city"]])[:, 1]
    np.testing.assert_array_equal(predicted["p"].to_numpy(), expected)


@pytest.mark.parametrize("given", ["files", "views", "values"])
def test_spark_looks_up_by_sql(given, spark, spark_rows, encoder, vectors, tmp_path):
    spark_rows.createOrReplaceTempView("scored_rows")
    lookups = to_parquet(encoder, tmp_path / "look`ups")
    if given == "views":
        for k, (name, path) in enumerate(lookups.items()):
            spark.read.parquet(str(path)).createOrReplaceTempView(f"look_up_{k}")
            lookups[name] = f"look_up_{k}"
    elif given == "values":
        lookups = None
    query = sql(encoder, "scored_rows", lookups=lookups, keep=["id"], dialect="spark")
    found = spark.sql(query).toArrow()
    passed = pa.chunked_array([found["n 1"].to_pandas().to_numpy()])  # NULL as NaN
    check(found.set_column(found.num_columns - 1, "n 1", passed), encoder, vectors)


def test_spark_finds_categories_of_every_type(spark, tmp_path):
    random = np.random.default_rng(0)
    kinds = ["text", "integer", "real", "flag", "day", "moment"]
    encoder = EntityEmbeddingEncoder(kinds, max_iter=1, cv=2, random_state=0)
    encoder.fit(draw(random, kinds, 300), random.normal(size=300))
    new = draw(random, kinds, 300, new=True)
    pq.write_table(new.append_column("id", pa.array(range(300))), tmp_path / "new.parquet")
    query = sql(
        encoder,
        tmp_path / "new.parquet",
        lookups=to_parquet(encoder, tmp_path / "lookups"),
        keep=["id"],
        dialect="spark",
    )
    found = spark.sql(query).toArrow().sort_by("id")
    columns = [found[name].to_numpy() for name in names_of(encoder)]
    np.testing.assert_array_equal(np.column_stack(columns), encoder.transform(new))


def test_spark_refuses_what_transform_refuses(spark, spark_rows, rows, tmp_path):
    settings = {"max_iter": 1, "cv": 2, "random_state": 0, "interactions": None}
    encoder = EntityEmbeddingEncoder(handle_unknown="error", **settings)
    encoder.fit(rows[["city"]], rows["n 1"])
    spark_rows.createOrReplaceTempView("scored")
    query = sql(encoder, "scored", keep=["id"], dialect="spark")
    with pytest.raises(Exception, match="'city' has missing or unknown values"):
        spark.sql(query).toArrow()
    nan = EntityEmbeddingEncoder("all", handle_missing="nan", **settings)
    nan.fit(rows[["n 1"]].round(), rows["n 1"])
    query = sql(nan, "scored", keep=["id"], dialect="spark")
    found = spark.sql(query).toArrow().sort_by("id")
    expected = nan.transform(spark_rows.toArrow().to_pandas()[["n 1"]])
    assert len(lookup_frames(nan)["n 1"]) < 20
    for j, name in enumerate(names_of(nan)):
        np.testing.assert_array_equal(found[name].to_numpy(), expected[:, j])


def test_patterns_in_paths_of_spark_are_refused(encoder, tmp_path):
    lookups = to_parquet(encoder, tmp_path / "a[1]")
    with pytest.raises(InvalidParameterError, match="letters that the database takes for a patt"):
        sql(encoder, "scored", lookups=lookups, dialect="spark")


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")  # of Dask
def test_the_page_runs(spark, tmp_path, monkeypatch):
    pytest.importorskip("dask.dataframe")
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[1] / "docs" / "guide" / "engines.md"
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(
        r"^```(?:\{code-cell\} )?python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 5
    namespace, results = {}, []
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)
        results.append(namespace.pop("result", None))
    X, encoder = namespace["X"], namespace["encoder"]
    for result in results[1:]:
        table = pa.table(result).sort_by("id")
        found = np.column_stack([table[name].to_numpy() for name in names_of(encoder)])
        np.testing.assert_array_equal(found, encoder.transform(X))
