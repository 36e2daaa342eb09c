"""French: every text that a justification is made of.

What belongs here: names of features, units, sentences, flaws.
Kept elsewhere: what each text means (`wording.py`), the same in English (`english.py`).
"""

from boursomatic_assets.language.wording import Wording

FEATURES = {
    "ret_1d": "son rendement du jour",
    "ret_5d": "son rendement sur 5 séances",
    "ret_20d": "son rendement sur 20 séances",
    "ret_60d": "son rendement sur 60 séances",
    "ret_120d": "son rendement sur 120 séances",
    "momentum_12_1": "son rendement sur un an hors dernier mois",
    "rsi_14": "son indice de force relative",
    "vol_20d": "sa volatilité sur 20 séances",
    "vol_250d": "sa volatilité sur un an",
    "vol_ratio": "sa volatilité sur 20 séances contre 120",
    "max_ret_20d": "sa meilleure séance des 20 dernières",
    "range_20d": "son amplitude moyenne par séance",
    "overnight_20d": "son rendement moyen hors séance",
    "skew_60d": "l'asymétrie de ses rendements",
    "volume_zscore": "son volume face à sa moyenne",
    "volume_trend": "son volume sur 20 séances contre 120",
    "illiquidity_60d": "sa variation rapportée aux montants échangés",
    "high_250d": "son écart au plus haut d'un an",
    "beta_120d": "son bêta face au marché",
    "idiosyncratic_vol_120d": "sa volatilité hors celle du marché",
    "market_ret_20d": "le rendement du marché sur 20 séances",
    "market_vol_20d": "la volatilité du marché sur 20 séances",
    "market_breadth_120d": "la part de titres en hausse sur 120 séances",
    "session_of_month": "le moment du mois",
}

UNITS = {
    "percent": "{} %",
    "percent_a_year": "{} % par an",
    "percent_per_million": "{} % par million",
    "plain": "{}",
    "times": "{} fois",
    "deviations": "{} écarts-types",
    "session": "séance {}",
}

HOLD_REASONS = {
    "unproven": "{label_text}, sans avis : les preuves en faveur de la version {version} sont de {evidence}"
    " contre 1"
    " à {horizon} séances, et le profil {profile_name} demande {asked} contre 1. ",
    "bolder_unproven": "{label_text}, sans avis : le profil {bolder_name}, qui demande moins de preuves, n'a pas"
    " d'avis non plus. ",
    "not_worth": "{label_text}, sans avis : sur l'historique à {horizon} séances, {direction_label} n'a pas valu"
    " mieux que le reste. ",
    "volatile": "{label_text}, sans avis : sa volatilité de {volatility_percent} % par an dépasse les {limit}"
    " que le"
    " profil {profile_name} supporte. ",
    "volatility_unknown": "{label_text}, sans avis : sa volatilité est inconnue, et le profil {profile_name}"
    " supporte"
    " {limit} par an. ",
    "middle": "{label_text} : son score n'est à aucune extrémité de son marché ; {probability} % de finir les"
    " {horizon} prochaines séances dans le tiers du milieu de son marché (33,3 % par hasard). ",
    "unlikely": "{label_text} : {direction_label} a {best_probability} % à son extrémité des scores, et le profil"
    " {profile_name} demande {minimum}. ",
    "faded": "{label_text} : {direction_label} a {direction_probability} %, et l'inverse {opposite_probability}"
    " %. ",
    "bolder_disagrees": "{label_text}, sans place : le profil {bolder_name}, qui ose davantage, ne conseille pas"
    " {direction_label}. ",
    "positions_taken": "{label_text}, sans place : {direction_label} a {direction_probability} %, mais le titre"
    " est"
    " au rang {position} de son marché, et le profil {profile_name} en prend {most_positions}. ",
}

ABSTENTIONS = {
    "refused": "{label}, sans avis : aucun modèle n'est admis à conseiller. La version {challenger}, examinée le"
    " {date}, a été refusée : {flaw}. {label} est donc publié pour tous les titres.",
    "withdrawn": "{label}, sans avis : plus aucun modèle n'est admis à conseiller. La version {challenger},"
    " examinée"
    " le {date}, devait succéder à {champion} avec la même recette, et a été refusée : {flaw}. {champion} a été"
    " retirée avec elle, et {label} est donc publié pour tous les titres.",
}

FLAWS = {
    "short": "son historique compte {sessions} séances retenues, et il en faut {least}",
    "unmeasured": "son historique n'a pas de preuves qui permettent de la juger",
    "unproven": "les preuves en sa faveur, sur des séances qu'elle n'avait pas vues, sont de {evidence} contre 1 à"
    " {horizon} séances, et il faut {least} contre 1",
    "disproved": "les preuves contre elle sont de {against} contre 1 à {horizon} séances, et {least} contre 1 la"
    " retirent",
    "unskilled": "elle n'a pas fait ses preuves sur des séances qu'elle n'avait pas vues (IC de rang moyen"
    " {rank_ic}, t {rank_ic_t}, et il faut un t de {least})",
    "uncalibrated": "ses probabilités sont moins bonnes que sans aucun savoir (perte logarithmique {log_loss},"
    " et il faut {log_loss_no_skill} + {tolerance})",
}
"""The last two are of decisions before 2026-12, which are still shown."""

FRENCH = Wording(
    code="fr",
    decimal_point=",",
    labels={"BUY": "ACHETER", "HOLD": "CONSERVER", "SELL": "VENDRE"},
    profiles={"conservative": "prudent", "moderate": "modéré", "aggressive": "dynamique"},
    thirds={"BUY": "le meilleur tiers", "HOLD": "le tiers du milieu", "SELL": "le moins bon tiers"},
    opening="{label_text} : {probability} % de finir les {horizon} prochaines séances dans {third} de son marché"
    " (33,3 % par hasard). ",
    hold_reasons=HOLD_REASONS,
    support=("rien ne plaide {}", "{} plaide {}", "{} et {} plaident {}"),
    evidence=" Preuves : {evidence} contre 1.",
    sides=("en ce sens", "contre", "pour une meilleure place", "pour une moins bonne"),
    two_sides="{} ; {}.",
    abstentions=ABSTENTIONS,
    flaws=FLAWS,
    unspecified_flaw="le motif est consigné en anglais : « {reason} »",
    features=FEATURES,
    units=UNITS,
    unknown="donnée manquante",
    above="au-dessus de",
    below="au-dessous de",
    of_its_market=" de son marché",
)
