"""Countries with first names, family names, cities and pay of the invented company.

First names and some family names are common ones of each country; most family names
are put together out of parts. No list holds a whole person.
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


def _families(common: str, heads: str, tails: str) -> tuple[str, ...]:
    """Return the common names, and every head with every tail."""
    made = (head + tail for head in heads.split() for tail in tails.split())
    return tuple(dict.fromkeys((*common.split(), *made)))


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
            "Anna Jürgen Lena Matthias Sabine Uwe Katrin Tobias Heike Jonas Miriam Stefan "
            "Ayşe Florian Greta Björn Ulrike Paul Nele Dieter Moritz Carla Ole Frieda Bernd "
            "Annika Emre Silke Volker Marlene Henning Tanja Lukas Ingrid Philipp"
        ),
        _families(
            "Müller Schröder Weiß Lindner Krause Vogt Hartmann Jäger Brandt Köhler Yılmaz "  # noqa: RUF001 - a Turkish letter
            "Seidel Böhm Arnold Franke Winkler Groß Lorenz",
            "Stein Linden Eichen Birken Hasel Brunn Kalten Neu Silber Eisen Rosen Win",
            "bach berg feld mann meier hof thal brück wald reuter",
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
            "Edward Chloe Kwame Harriet Alistair Poppy Hamish Zara Nigel Bronwen Declan Ruth "
            "Simon Leila Graham Esme Duncan Joyce"
        ),
        _families(
            "Ashworth Bennett Okafor Clarke Davies Eastwood Fletcher O'Neill Hughes Iqbal "
            "Jenkins Kendall Marsh Patel Whitaker Sutton",
            "Ash Black Thorn Hart Brad Hazel Law Rad Stan Pem Wood Kel",
            "field ley ford combe bury croft well more shaw by",
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
            "Clémence Youssef Margaux Baptiste Océane Thierry Solène Karim Élodie Gaël "
            "Yvette Rémi Anaïs Lucien Maëlle"
        ),
        _families(
            "Lefèvre Moreau Girard Bonnet Dupuis Renard Chevalier Benali Fontaine Marchand "
            "Roussel Gauthier Leclerc Perrin",
            "Beau Mont Clair Roche Font Bel Haut Grand Vau Bois",
            "champ val mont bois fort lieu rive pré clos",
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
            "Joanna Wojciech Hanna Szymon Bartosz Iwona Grzegorz Dorota Jacek Alicja Tomasz "
            "Renata Kamil Urszula Marek Magda"
        ),
        _families(
            "Nowak Wiśniewski Wójcik Zieliński Szymański Dąbrowski Mazur Krawczyk Pawlak "
            "Górski Sikora Baran Ostrowski",
            "Kowal Zawadz Lipn Brzez Olszew Jastrzęb Sobol Malin Jawor Czarn",
            "ski icki ewski owski czak iak",
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
            "Elena Joaquín Pilar Óscar Rocío Gonzalo Irene Marcos Aitana Ramón Noelia Jordi "
            "Teresa Iván"
        ),
        _families(
            "García Núñez Ortega Iglesias Castaño Peña Vidal Romero Muñoz Ferrer Delgado "
            "Santos Ibáñez",
            "Monte Val Casa Villa Torre Fuente Puerto Campo",
            "verde longa nueva real blanca mayor alta",
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
        _names(
            "Reto Nadine Urs Seraina Beat Corinne Luca Fabienne Andri Chiara Silvan Regula "
            "Jürg Livia Marco Anouk Hansruedi Ladina Cédric Vreni Gian Noémie Roland Selina"
        ),
        _families(
            "Frei Zürcher Bernasconi Keller Rochat Amstutz Caduff Steiner Favre Gerber Hürlimann",
            "Am Zum Hof Rüti Matt Brun Egger Läng",
            "stein bühl thal stetter mann wyler berg",
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
        _names(
            "Åsa Erik Linnéa Göran Saga Anders Elsa Mikael Freja Viktor Ebba Samir Oskar "
            "Ingrid Gustav Maja Lars Astrid Nils Birgitta Emil Stina Håkan Amira"
        ),
        _families(
            "Lindqvist Öberg Sjöström Håkansson Ek Nyström Bergman Wallin Åkesson Holm Hassan",
            "Lind Sand Sjö Ström Hag Norr Alm Björk Gran Öst",
            "gren man lund dahl berg blad holm stedt",
        ),
    ),
    Country(
        "IN",
        0.06,
        "INR",
        96.0,
        0.36,
        "+91",
        ("Pune",),
        _names(
            "Ananya Rohan Kavya Arjun Deepa Vikram Meera Sanjay Ishita Nikhil Lakshmi Farhan "
            "Aditi Karan Sneha Rajesh Pooja Suresh Divya Imran Neha Ashok Tara Gautam"
        ),
        _families(
            "Deshpande Iyer Banerjee Kulkarni Menon Reddy Bhatt Chawla Nair Qureshi Joshi",
            "Raj Dev Vish Nar Chandra Sat Hari Shiv",
            "puri kar wal dhar nath raman esh",
        ),
    ),
)
