"""Generated sequences: words of reviews, answers of students."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from numpy.random import RandomState
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from sk_entity_embed.datasets._random import at_least, make_generator, number_names

_MOODS = {
    2.0: "brilliant masterpiece moving superb wonderful",
    1.0: "charming clever enjoyable funny good likeable tender warm",
    0.0: (
        "a about actor all an and as at been by camera cast character comedy director drama end "
        "film for from has hero his how in into is it its just made minutes movie music new not "
        "of on one or plot scene screen script she so some story that the their then this time "
        "to two up was watch way what who with world year"
    ),
    -1.0: "bland boring clumsy flat predictable silly tedious weak",
    -2.0: "awful dreadful unbearable unwatchable worst",
}


@validate_params(
    {
        "n_reviews": at_least(1),
        "n_words": at_least(2),
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_reviews(
    n_reviews: int = 2000,
    n_words: int = 20,
    *,
    noise: float = 0.5,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make sentences of reviews, positive and negative: a stand-in for movie reviews.

    A sentence is a row of words without grammar, nearly one in six of which has a mood: 2 or 1
    for good words, -1 or -2 for bad ones, 0 for all others. Other words follow Zipf's law. A
    review is positive when the sum of moods and logistic noise is above zero.

    Parameters
    ----------
    n_reviews : int, default=2000
        Sentences.
    n_words : int, default=20
        Words of a sentence on average; it has between half and one and a half times as many.
    noise : float, default=0.5
        Scale of the noise, in units of mood; 0 makes the sum decide.
    random_state : int, RandomState instance or None, default=None
        Decides everything.

    Returns
    -------
    Bunch
        `X`, a DataFrame with the column "sentence"; `y`, a Series of 1 for positive and 0 for
        negative; `word_effects`, a Series of each word's mood.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_reviews
    >>> data = make_reviews(100, random_state=0)
    >>> data.X.shape, sorted(data.y.unique().tolist())
    ((100, 1), [0, 1])
    >>> float(data.word_effects["superb"]), float(data.word_effects["film"])
    (2.0, 0.0)
    """
    random = make_generator(random_state)
    words = np.array([w for text in _MOODS.values() for w in text.split()], dtype=object)
    moods = np.array([mood for mood, text in _MOODS.items() for _ in text.split()])
    neutral = moods == 0
    # Strong words are rarer than mild ones, as they are in reviews.
    shares = np.where(neutral, 0.0, 1 / np.maximum(np.abs(moods), 1))
    shares *= 1 / 6 / shares.sum()
    ranks = random.permutation(np.arange(1, neutral.sum() + 1))
    shares[neutral] = 5 / 6 / ranks / (1 / ranks).sum()

    lengths = random.integers(max(1, n_words // 2), n_words + n_words // 2 + 1, n_reviews)
    drawn = random.choice(len(words), lengths.sum(), p=shares)
    ends = np.cumsum(lengths)
    scores = np.add.reduceat(moods[drawn], ends - lengths)
    # Sums of whole numbers are often zero: the least noise decides these at random.
    scores += random.logistic(size=n_reviews) * max(noise, 1e-6)
    sentences = [" ".join(words[part]) for part in np.split(drawn, ends[:-1])]
    return Bunch(
        X=pd.DataFrame({"sentence": sentences}),
        y=pd.Series((scores > 0).astype(np.int64), name="positive"),
        word_effects=pd.Series(moods, index=pd.Index(words, name="word"), name="effect"),
    )


@validate_params(
    {
        "n_students": at_least(1),
        "n_skills": at_least(1),
        "n_steps": at_least(2),
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_sequences(
    n_students: int = 200,
    n_skills: int = 12,
    n_steps: int = 40,
    *,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make answers of students, in their order: a stand-in for the log of a tutoring system.

    A student works on one skill for some steps, then on another. The log-odds of a right answer
    are the student's ability less the skill's difficulty, plus the skill's gain for every earlier
    step of this student on it: the additive factor model [1]_.

    Parameters
    ----------
    n_students : int, default=200
        Students.
    n_skills : int, default=12
        Skills.
    n_steps : int, default=40
        Steps of a student on average; each has between half and one and a half times as many.
    random_state : int, RandomState instance or None, default=None
        Decides everything.

    Returns
    -------
    Bunch
        `X`, a DataFrame with the columns "student", "step" (from 0) and "skill", by student and
        step; `y`, a Series of 1 for a right answer and 0 for a wrong one; `abilities`, a Series by
        student; `skills`, a DataFrame by skill with "difficulty" and "gain".

    References
    ----------
    .. [1] Cen, H., Koedinger, K. and Junker, B. (2006). Learning factors analysis: a general
       method for cognitive model evaluation and improvement. Intelligent Tutoring Systems.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_sequences
    >>> data = make_sequences(10, random_state=0)
    >>> data.X.columns.tolist(), data.X["student"].nunique()
    (['student', 'step', 'skill'], 10)
    >>> data.skills.columns.tolist()
    ['difficulty', 'gain']
    """
    random = make_generator(random_state)
    ability = random.normal(0, 0.8, n_students)
    difficulty = random.normal(0, 1, n_skills)
    gain = random.uniform(0.02, 0.4, n_skills)
    lengths = random.integers(n_steps // 2, n_steps + n_steps // 2 + 1, n_students)
    student = np.repeat(np.arange(n_students), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    changes = (step == 0) | (random.random(len(step)) < 0.2)
    skill = random.integers(n_skills, size=changes.sum())[np.cumsum(changes) - 1]
    X = pd.DataFrame(
        {
            "student": number_names("student", n_students)[student],
            "step": step,
            "skill": number_names("skill", n_skills)[skill],
        }
    )
    practice = X.groupby(["student", "skill"]).cumcount().to_numpy()
    log_odds = ability[student] - difficulty[skill] + gain[skill] * practice
    right = random.random(len(X)) < 1 / (1 + np.exp(-log_odds))
    return Bunch(
        X=X,
        y=pd.Series(right.astype(np.int64), name="correct"),
        abilities=pd.Series(
            ability,
            index=pd.Index(number_names("student", n_students), name="student"),
            name="ability",
        ),
        skills=pd.DataFrame(
            {"difficulty": difficulty, "gain": gain},
            index=pd.Index(number_names("skill", n_skills), name="skill"),
        ),
    )
