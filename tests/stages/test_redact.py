import pytest

from stages.redact import redact, redact_text


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "hf_token",
        "HF_TOKEN",
        "secret",
        "aws_secret_access_key",
        "secretKey",
        "password",
        "db_passwd",
        "key",
        "ssh-key",
        "apiKey",
        "accessKeyId",
        "account_key",
        "credentials",
    ],
)
def test_hides_what_has_the_name_of_a_secret(name):
    assert redact({name: "hunter2"}) == {name: "***"}
    assert redact({"storage": [{name: {"inner": ["hunter2"], name: 5}}]})["storage"][0][name][name] == "***"


@pytest.mark.parametrize(
    "name",
    [
        "keypoints",
        "min_keypoints_inside_mask",
        "stage_keys",
        "pipeline_key",
        "recipe_key",
        "tokenizer",
        "max_tokens",
        "keyframes",
        "monkey",
    ],
)
def test_leaves_other_names(name):
    assert redact({name: "shown"}) == {name: "shown"}


def test_leaves_other_values():
    settings = {
        "size": [512, 768],
        "rate": 0.5,
        "secret": None,
        "use_token": True,
        "uri": "s3://bucket/clips#1.parquet",
    }
    assert redact(settings) == settings


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("s3://AKIA:wJalr@bucket/clip.mp4", "s3://***@bucket/clip.mp4"),
        ("cannot open https://u:p@ss@host/a?X-Amz-Signature=abc: 403", "cannot open https://***@host/a?*** 403"),
        ("simplecache::s3://AKIA:wJa/lr@bucket/a.mp4", "simplecache::s3://***@bucket/a.mp4"),
        ("zip://a.mp4::s3://AKIA:wJalr@bucket/a.zip: 403", "zip://a.mp4::s3://***@bucket/a.zip: 403"),
        ("zip://b::https://u:p@[::1]:80/a?sig=b c", "zip://b::https://***@[::1]:80/a?*** c"),
        ("http://[::1]:5000/a?token=b", "http://[::1]:5000/a?***"),
        ("https://host:5000/a@2x.png", "https://host:5000/a@2x.png"),
        ("https://me:pw@mlflow.example/?token=abc run 1", "https://***@mlflow.example/?*** run 1"),
        ("postgresql://me:pw@db/mlflow", "postgresql://***@db/mlflow"),
        ("DefaultEndpoint=a;AccountKey=abc==;b", "DefaultEndpoint=a;AccountKey=***;b"),
        ("HF_TOKEN=hf_abc zoetrope", "HF_TOKEN=*** zoetrope"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("keypoints = 3, mail a@b.c", "keypoints = 3, mail a@b.c"),
    ],
)
def test_redacts_uris_and_assignments_in_text(text, bare):
    assert redact_text(text) == bare
    assert redact({"message": [text]}) == {"message": [bare]}
