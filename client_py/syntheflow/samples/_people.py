"""Countries with first names, family names, cities and pay of the invented company.

First and family names are common ones of each country, put together by chance;
no list holds a whole person.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Country:
    """A country that the company has offices in.

    `share` is its weight among employees, `pay` its pay level relative to
    Germany, `rate` units of `currency` for one euro, `dial` its telephone code.
    """

    code: str
    share: float
    currency: str
    rate: float
    pay: float
    dial: str
    cities: tuple[str, ...]
    first_names: tuple[str, ...]
    family_names: tuple[str, ...]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COUNTRIES = (
    Country(
        "DE",
        0.30,
        "EUR",
        1.0,
        1.0,
        "+49",
        ("Hamburg", "Leipzig", "Köln"),
        _names(
            "Anna Jürgen Lena Matthias Sabine Uwe Katrin Tobias Heike Jonas Miriam Stefan Ayşe "
            "Florian Greta Björn Ulrike Paul Nele Dieter"
        ),
        _names(
            "Müller Schröder Weiß Lindner Krause Vogt Hartmann Jäger Brandt Köhler Yılmaz Seidel "  # noqa: RUF001 - a Turkish letter
            "Böhm Arnold Franke Winkler Groß Lorenz"
        ),
    ),
    Country(
        "GB",
        0.16,
        "GBP",
        0.85,
        1.02,
        "+44",
        ("Leeds", "Bristol"),
        _names(
            "Oliver Amelia Harry Priya Thomas Sophie Callum Imogen Rhys Fatima George Niamh "
            "Edward Chloe Kwame Harriet"
        ),
        _names(
            "Ashworth Bennett Okafor Clarke Davies Eastwood Fletcher O'Neill Hughes Iqbal Jenkins "
            "Kendall Marsh Patel Whitaker Sutton"
        ),
    ),
    Country(
        "FR",
        0.13,
        "EUR",
        1.0,
        0.94,
        "+33",
        ("Lyon", "Nantes"),
        _names(
            "Camille Étienne Léa Jérôme Zoé Mathieu Inès François Manon Hugo Aurélie Benoît "
            "Clémence Youssef Margaux"
        ),
        _names(
            "Lefèvre Moreau Girard Bonnet Dupuis Renard Chevalier Benali Fontaine Marchand "
            "Roussel Gauthier Leclerc Perrin"
        ),
    ),
    Country(
        "PL",
        0.12,
        "PLN",
        4.3,
        0.58,
        "+48",
        ("Wrocław", "Gdańsk"),
        _names(
            "Agnieszka Łukasz Małgorzata Piotr Zofia Krzysztof Ewa Michał Katarzyna Paweł "
            "Joanna Wojciech Hanna Szymon"
        ),
        _names(
            "Nowak Wiśniewski Wójcik Zieliński Szymański Dąbrowski Mazur Krawczyk Pawlak "
            "Górski Sikora Baran Ostrowski"
        ),
    ),
    Country(
        "ES",
        0.09,
        "EUR",
        1.0,
        0.76,
        "+34",
        ("Valencia", "Sevilla"),
        _names(
            "Lucía Javier Marta Álvaro Carmen Íñigo Sofía Sergio Nuria Andrés Begoña Rubén "
            "Elena Joaquín"
        ),
        _names(
            "García Núñez Ortega Iglesias Castaño Peña Vidal Romero Muñoz Ferrer Delgado "
            "Santos Ibáñez"
        ),
    ),
    Country(
        "CH",
        0.07,
        "CHF",
        0.96,
        1.48,
        "+41",
        ("Basel",),
        _names("Reto Nadine Urs Seraina Beat Corinne Luca Fabienne Andri Chiara Silvan Regula"),
        _names(
            "Frei Zürcher Bernasconi Keller Rochat Amstutz Caduff Steiner Favre Gerber Hürlimann"
        ),
    ),
    Country(
        "SE",
        0.07,
        "SEK",
        11.2,
        0.92,
        "+46",
        ("Göteborg",),
        _names("Åsa Erik Linnéa Göran Saga Anders Elsa Mikael Freja Viktor Ebba Samir"),
        _names("Lindqvist Öberg Sjöström Håkansson Ek Nyström Bergman Wallin Åkesson Holm Hassan"),
    ),
    Country(
        "IN",
        0.06,
        "INR",
        96.0,
        0.36,
        "+91",
        ("Pune",),
        _names("Ananya Rohan Kavya Arjun Deepa Vikram Meera Sanjay Ishita Nikhil Lakshmi Farhan"),
        _names("Deshpande Iyer Banerjee Kulkarni Menon Reddy Bhatt Chawla Nair Qureshi Joshi"),
    ),
)
